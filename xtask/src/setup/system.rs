//! Which system this is, and how one installs packages there.

use std::fs;

/// The parts of os-release that decide, and whether we are root.
pub(crate) struct System {
    id: String,
    like: String,
    version: String,
    name: String,
    pub(crate) is_root: bool,
}

/// Families of package tools whose commands we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Debian,
    Fedora,
    Arch,
    Other,
}

impl System {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self::parse(&text, effective_user(&status) == Some(0))
    }

    fn parse(os_release: &str, is_root: bool) -> Self {
        let field = |key: &str| {
            os_release
                .lines()
                .filter_map(|line| line.split_once('='))
                .find(|(name, _)| *name == key)
                .map(|(_, value)| value.trim().trim_matches('"').to_owned())
                .unwrap_or_default()
        };
        System {
            id: field("ID"),
            like: field("ID_LIKE"),
            version: field("VERSION_ID"),
            name: field("PRETTY_NAME"),
            is_root,
        }
    }

    pub(crate) fn family(&self) -> Family {
        let names = || std::iter::once(self.id.as_str()).chain(self.like.split(' '));
        names()
            .find_map(|name| match name {
                "debian" | "ubuntu" => Some(Family::Debian),
                "fedora" | "rhel" | "centos" => Some(Family::Fedora),
                "arch" => Some(Family::Arch),
                _ => None,
            })
            .unwrap_or(Family::Other)
    }

    /// Only where it was tried: elsewhere the user types the commands.
    pub(crate) fn installs_itself(&self) -> bool {
        self.id == "debian" && matches!(self.version.as_str(), "12" | "13")
    }

    /// A sentence that says who installs what is missing.
    pub(crate) fn who_installs(&self) -> String {
        if !self.installs_itself() {
            let name = if self.name.is_empty() { "an unknown system" } else { &self.name };
            format!("This is {name}, where setup installs no packages itself; type:")
        } else if self.is_root {
            "`cargo xtask setup` types this for you:".to_owned()
        } else {
            "`cargo xtask setup` as root types this for you:".to_owned()
        }
    }

    /// The commands that install the packages here.
    pub(crate) fn package_commands(&self, packages: &[String]) -> Vec<String> {
        let list = packages.join(" ");
        let sudo = if self.is_root { "" } else { "sudo " };
        match self.family() {
            Family::Debian => vec![
                format!("{sudo}apt-get update"),
                format!("{sudo}apt-get install --no-install-recommends {list}"),
            ],
            Family::Fedora => vec![format!("{sudo}dnf install {list}")],
            Family::Arch => vec![format!("{sudo}pacman -S --needed {list}")],
            Family::Other => vec![format!("# with the package tool of this system: {list}")],
        }
    }
}

/// The effective user id, from the text of /proc/self/status.
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
impl System {
    pub(crate) fn read_as(id: &str) -> Self {
        Self::parse(&format!("ID={id}\n"), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str =
        "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n";
    const MINT: &str = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n";
    const ROCKY: &str = "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID=\"9.4\"\n";

    #[test]
    fn setup_installs_only_on_debian_12_and_13() {
        assert!(System::parse(BOOKWORM, true).installs_itself());
        assert!(System::parse(&BOOKWORM.replace("12", "13"), true).installs_itself());
        assert!(!System::parse(&BOOKWORM.replace("12", "11"), true).installs_itself());
        assert!(!System::parse(MINT, true).installs_itself());
    }

    #[test]
    fn commands_follow_the_family_of_the_system() {
        let packages = ["gcc".to_owned(), "ethtool".to_owned()];
        let mint = System::parse(MINT, false);
        assert_eq!(mint.family(), Family::Debian);
        assert_eq!(
            mint.package_commands(&packages)[1],
            "sudo apt-get install --no-install-recommends gcc ethtool"
        );
        let rocky = System::parse(ROCKY, true);
        assert_eq!(rocky.package_commands(&packages), ["dnf install gcc ethtool"]);
        assert_eq!(System::parse("", true).family(), Family::Other);
    }

    #[test]
    fn root_is_the_effective_user_zero() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some(0));
        assert_eq!(effective_user("Uid:\t0\t1000\t0\t0\n"), Some(1000));
        assert_eq!(effective_user(""), None);
    }
}
