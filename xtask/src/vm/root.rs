//! The guest's root file system, which is also the place where its driver is compiled: a Debian unpacked below
//! `.cache`, nothing of it ever configured or run as part of this machine.
//!
//! Compiling there and not with the machine's own compiler makes the result the same everywhere, and a kernel of
//! another suite wants its own suite's compiler and C library.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::debian::PrivateApt;
use crate::{run, setup};

/// What the guest is made of, besides the kernel.
const PACKAGES: &[&str] = &[
    // A shell, and what every script expects.
    "?essential",
    "mawk",
    "kmod",
    "procps",
    "util-linux",
    "mount",
    "xz-utils",
    "zstd",
    "cpio",
    // In the initramfs, where no library is.
    "busybox-static",
    // What lays out networks, and the independent eyes on what Sluice does.
    "iproute2",
    "ethtool",
    "bpftool",
    // Libraries of the tests.
    "libelf1t64",
    "zlib1g",
    // Compiles the driver.
    "gcc",
    "make",
];

/// In Debian's file system these are links into /usr, made while it is installed.
const MERGED: [&str; 4] = ["bin", "sbin", "lib", "lib64"];
const EMPTY: [&str; 7] = ["dev", "proc", "sys", "run", "tmp", "root", "exchange"];

pub(super) struct Root {
    folder: PathBuf,
}

impl Root {
    /// One that is there already.
    pub(super) fn at(folder: &Path) -> Self {
        Root { folder: folder.to_owned() }
    }

    /// Downloads and unpacks the tools and some more packages.
    pub(super) fn create(folder: &Path, apt: &PrivateApt, more: &[String]) -> Result<Self> {
        let root = Root { folder: folder.to_owned() };
        for name in MERGED {
            fs::create_dir_all(folder.join("usr").join(name))?;
            symlink(format!("usr/{name}"), folder.join(name))?;
        }
        for name in EMPTY {
            fs::create_dir_all(folder.join(name))?;
        }
        let mut names: Vec<String> = PACKAGES.iter().map(|name| (*name).to_owned()).collect();
        names.extend_from_slice(more);
        let packages = apt.download_with_dependencies(&names)?;
        println!("unpacking {} packages", packages.len());
        for package in &packages {
            root.unpack(package)?;
        }
        root.configure()?;
        Ok(root)
    }

    /// The files of a package, without running anything of it.
    pub(super) fn unpack(&self, package: &Path) -> Result<()> {
        run::output(Command::new("dpkg-deb").arg("-x").arg(package).arg(&self.folder)).map(drop)
    }

    /// What the packages' own scripts would have done, as far as the guest needs it.
    fn configure(&self) -> Result<()> {
        let awk = self.path("usr/bin/awk");
        if !awk.exists() {
            symlink("mawk", awk)?;
        }
        fs::write(self.path("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n")?;
        fs::write(self.path("etc/group"), "root:x:0:\n")?;
        fs::write(self.path("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")?;
        Ok(())
    }

    /// A path in the root as seen from outside; `inside` has no slash in front.
    pub(super) fn path(&self, inside: &str) -> PathBuf {
        self.folder.join(inside)
    }

    /// Runs a shell script inside, with `arguments` as `$1`, `$2` and so on.
    pub(super) fn script(&self, script: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new("unshare");
        if !setup::is_root() {
            command.args(["--user", "--map-root-user"]);
        }
        // /dev/null must be there, and objtool reads /proc; the mounts are gone with the namespace.
        command.args(["--mount", "sh", "-ec", ENTER, "enter"]).arg(&self.folder);
        command.args(["/bin/sh", "-ec", script, "script"]).args(arguments);
        let output = command.output().context("cannot start unshare")?;
        if !output.status.success() {
            let complaints = String::from_utf8_lossy(&output.stderr);
            let lines: Vec<&str> = complaints.lines().collect();
            let last = lines.get(lines.len().saturating_sub(COMPLAINTS)..).unwrap_or_default();
            bail!("a script in the guest's root ended with {}: {}", output.status, last.join("\n"));
        }
        Ok(())
    }
}

/// How many lines of a failed script's complaints are shown.
const COMPLAINTS: usize = 10;

const ENTER: &str = "\
    root=$1; shift
    mount --rbind /dev \"$root/dev\"
    mount --rbind /proc \"$root/proc\"
    exec chroot \"$root\" /usr/bin/env -i PATH=/usr/sbin:/usr/bin HOME=/root LC_ALL=C \"$@\"";
