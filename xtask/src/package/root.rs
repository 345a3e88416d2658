//! Roots of Debian releases, in which the package is installed and from which it has to vanish.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::ValueEnum;

use super::build::folder;
use crate::{debian, run};

/// A release that the package is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Release {
    Bookworm,
    Trixie,
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Release::Bookworm => "bookworm",
            Release::Trixie => "trixie",
        })
    }
}

impl Release {
    /// What the package depends on: in the chroot there is no network to get it from.
    fn packages(self) -> &'static str {
        match self {
            Release::Bookworm => "systemd,init-system-helpers,passwd,libelf1,zlib1g",
            Release::Trixie => "systemd,init-system-helpers,passwd,libelf1t64,zlib1g",
        }
    }

    /// A fresh root of the release. The archive it comes from is kept; remove .cache/package/RELEASE.tar to get current
    /// packages.
    pub(super) fn unpack(self) -> Result<Root> {
        let archive = folder().join(format!("{self}.tar"));
        if !archive.exists() {
            self.create(&archive)?;
        }
        let folder = folder().join(format!("root-{self}-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let root = Root(folder);
        let mut tar = Command::new("tar");
        tar.arg("-C").arg(&root.0).args(["--exclude=./dev/*", "-xf"]).arg(&archive);
        run::output(&mut tar)?;
        Ok(root)
    }

    fn create(self, archive: &Path) -> Result<()> {
        let unfinished = archive.with_extension("unfinished");
        let mut debootstrap = Command::new("mmdebstrap");
        debootstrap.args(["--quiet", "--format=tar", "--variant=minbase"]);
        debootstrap.arg(format!("--include={}", self.packages()));
        debootstrap.arg("--dpkgopt=path-exclude=/usr/share/locale/*");
        debootstrap.arg(self.to_string()).arg(&unfinished).arg(debian::mirror()?);
        run::run(&mut debootstrap)?;
        Ok(fs::rename(unfinished, archive)?)
    }
}

/// An unpacked root; it goes when dropped.
pub(super) struct Root(PathBuf);

impl Root {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// All files, but for those that dpkg and its like keep their own records in.
    pub(super) fn files(&self) -> Result<Vec<String>> {
        let mut find = Command::new("find");
        find.current_dir(&self.0).args([".", "-xdev"]);
        let found = run::output(&mut find)?;
        let mut files: Vec<String> =
            found.lines().filter(|file| !is_record(file)).map(str::to_owned).collect();
        files.sort_unstable();
        Ok(files)
    }
}

fn is_record(file: &str) -> bool {
    let records = ["./var/lib/dpkg/", "./var/log/", "./var/cache/", "./proc/", "./sys/", "./dev/"];
    // Copies that passwd makes before it changes a file, and the lock that it holds meanwhile.
    let is_copy = file.starts_with("./etc/") && file.ends_with('-');
    is_copy || file == "./etc/.pwd.lock" || records.iter().any(|record| file.starts_with(record))
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_the_package_system_are_no_leftovers() {
        assert!(is_record("./var/lib/dpkg/info/sluice.list"));
        assert!(is_record("./etc/passwd-"));
        assert!(is_record("./etc/.pwd.lock"));
        assert!(!is_record("./etc/sluice"));
        assert!(!is_record("./var/lib/systemd/deb-systemd-helper-enabled/sluice.service"));
    }
}
