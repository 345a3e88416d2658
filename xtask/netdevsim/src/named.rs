//! Which link is a port of which device.
//!
//! Asked of the command `ip`: `/sys` shows the links of the namespace in which it was mounted, and no others.

use std::process::Command;

use serde_json::Value;

use crate::Error;

/// The link of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name in the network namespace.
    pub name: String,
    /// Its index in the network namespace.
    pub ifindex: u32,
}

pub(crate) fn find(device: u32, port: u32) -> Result<Named, Error> {
    let links = ip(&["-json", "-details", "link", "show"])?;
    choose(&links, device, port).ok_or(Error::NoLink { device, port })
}

pub(crate) fn rename(from: &str, to: &str) -> Result<(), Error> {
    ip(&["link", "set", "dev", from, "name", to]).map(drop)
}

/// The driver counts its ports from 0, what it calls them from 1.
fn choose(links: &str, device: u32, port: u32) -> Option<Named> {
    let links: Value = serde_json::from_str(links).ok()?;
    let device = format!("netdevsim{device}");
    let port = format!("p{}", port + 1);
    let link = links.as_array()?.iter().find(|link| {
        link["parentbus"] == "netdevsim"
            && link["parentdev"] == device.as_str()
            && link["phys_port_name"] == port.as_str()
    })?;
    Some(Named {
        name: link["ifname"].as_str()?.to_owned(),
        ifindex: link["ifindex"].as_u64()?.try_into().ok()?,
    })
}

fn ip(arguments: &[&str]) -> Result<String, Error> {
    let output = Command::new("ip").args(arguments).output().map_err(|source| Error::Command {
        command: format!("ip {}", arguments.join(" ")),
        said: source.to_string(),
    })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Error::Command {
            command: format!("ip {}", arguments.join(" ")),
            said: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: &str = r#"[{"ifindex":1,"ifname":"lo"},
        {"ifindex":4,"ifname":"eth1","phys_port_name":"p1","parentbus":"netdevsim","parentdev":"netdevsim7"},
        {"ifindex":5,"ifname":"left","phys_port_name":"p2","parentbus":"netdevsim","parentdev":"netdevsim7"},
        {"ifindex":6,"ifname":"eth2","phys_port_name":"p1","parentbus":"netdevsim","parentdev":"netdevsim70"}]"#;

    #[test]
    fn a_port_is_found_whatever_its_link_is_called() {
        let left = Named { name: "left".to_owned(), ifindex: 5 };
        assert_eq!(choose(LINKS, 7, 1), Some(left));
        assert_eq!(choose(LINKS, 7, 2), None);
        assert_eq!(choose(LINKS, 70, 0).map(|link| link.ifindex), Some(6));
        assert_eq!(choose("no JSON", 7, 0), None);
    }
}
