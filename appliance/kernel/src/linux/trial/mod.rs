//! Trials on a link: what does the kernel really take?
//!
//! Everything that is made here carries the name [`NAME`] (or a mark where names are not possible), is gone when its value
//! is dropped, and for what a killed process leaves behind there is [`Trials::remove_leftovers`].

mod about;
mod aside;
mod code;
mod device;
mod filter;
mod flower;
mod leftovers;
mod security;
pub(super) mod wire;
mod xdp;

pub use about::About;
pub use aside::SetAside;
pub use code::{Code, TrialHelper};
pub use device::{DeviceMap, DeviceProgram, MapTrial, TrialHook, TrialMapKind};
pub use filter::{HeldFilter, Ingress, Offloaded};
pub use flower::{FlowerTrial, TrialAction, TrialMatch};
pub use security::{HeldAssociation, SecurityTrial};
pub use xdp::HeldXdp;

use super::{netlink::Refusal, sys::Kernel, xdp::link_name};
use crate::{Errno, Error, LinkName, Result};

/// Programs and maps on trial are called this: the kernel allows no hyphen in names of BPF objects.
pub const NAME: &str = "sluice_probe";

/// Why the kernel refused a trial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The kernel's answer; none if it accepted and read-back showed something else.
    pub errno: Option<Errno>,
    /// The text of the extended acknowledgement.
    pub extack: Option<String>,
    /// The line of the verifier's log that says why.
    pub verifier: Option<String>,
    /// What read-back showed.
    pub read_back: Option<String>,
}

/// The result of a trial.
pub type Tried<T = ()> = std::result::Result<T, Refused>;

impl Refused {
    fn read_back(found: impl Into<String>) -> Self {
        Self { errno: None, extack: None, verifier: None, read_back: Some(found.into()) }
    }

    fn verifier(errno: Errno, log: &str) -> Self {
        Self { verifier: telling_line(log), ..Self::from(errno) }
    }
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Self {
        Self { errno: Some(errno), extack: None, verifier: None, read_back: None }
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { extack: refusal.text, ..Self::from(refusal.errno) }
    }
}

/// The line of a verifier's log that says why it ended: the last one that is no statistics.
fn telling_line(log: &str) -> Option<String> {
    let statistics = ["processed ", "verification time", "stack depth"];
    let lines = log.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut telling = lines.filter(|line| !statistics.iter().any(|begin| line.starts_with(begin)));
    telling.next_back().map(str::to_owned)
}

/// Trials on one link, in the network namespace of the calling thread.
pub struct Trials {
    kernel: Kernel,
    link: LinkName,
}

impl Trials {
    /// Trials on the link of this name. Removes nothing yet.
    ///
    /// # Errors
    /// [`Error::NoSuchLink`].
    pub fn open(name: &str) -> Result<Self> {
        match nix::net::if_::if_nametoindex(name) {
            Ok(ifindex) => Ok(Self { kernel: Kernel::default(), link: link_name(ifindex) }),
            Err(_) => Err(Error::NoSuchLink { link: LinkName { name: name.into(), ifindex: 0 } }),
        }
    }

    /// The link.
    pub fn link(&self) -> &LinkName {
        &self.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_says_why_is_found() {
        let log = "0: (b7) r0 = 2\n[netdevsim] Hello from netdevsim!\nprocessed 2 insns (limit 1000000)\n\n";
        assert_eq!(telling_line(log).as_deref(), Some("[netdevsim] Hello from netdevsim!"));
        assert_eq!(telling_line("processed 2 insns\n"), None);
    }
}
