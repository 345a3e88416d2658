//! Where this machine gets Debian from.

use std::process::Command;

use anyhow::{Context, Result};

use crate::run;

/// The mirror of Debian's main archive that this machine uses: users behind a mirror of their own are served too.
pub(crate) fn mirror() -> Result<String> {
    let targets = run::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(LABEL) $(REPO_URI)",
    ]))
    .context("no apt here")?;
    mirror_of(&targets).context("apt knows no Debian archive: run `apt-get update` first")
}

/// Security and other archives have a label of their own. Before the first `apt-get update` there are no labels,
/// only addresses.
fn mirror_of(targets: &str) -> Option<String> {
    let labelled = targets.lines().find_map(|line| line.strip_prefix("Debian Debian "));
    let by_address = || {
        targets.lines().map(str::trim).find(|address| {
            !address.contains(' ') && address.trim_end_matches('/').ends_with("/debian")
        })
    };
    labelled.or_else(by_address).map(|address| address.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_machines_own_main_archive() {
        let targets =
            "Debian Debian-Security file:/security/\nDebian Debian file:/mirror/debian/\n";
        assert_eq!(mirror_of(targets).as_deref(), Some("file:/mirror/debian/"));
        assert_eq!(
            mirror_of("  file:/security/\n  file:/mirror/debian\n").as_deref(),
            Some("file:/mirror/debian")
        );
        assert_eq!(mirror_of("Google Cloud file:/x/debian\n"), None);
    }
}
