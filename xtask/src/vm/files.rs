//! Everything that a guest is started from, made once and kept below `.cache/vm/SERIES`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};

use super::kernel::{Kernel, Packages};
use super::root::Root;
use super::{initramfs, netdevsim, vmlinux};
use crate::debian::{self, PrivateApt};
use crate::paths;

/// Raised when what is kept must be made anew.
const VERSION: &str = "1";

pub(super) struct Files {
    pub(super) root: PathBuf,
    pub(super) vmlinux: PathBuf,
    pub(super) initramfs: PathBuf,
    /// What `uname -r` will say.
    pub(super) release: String,
}

impl Files {
    /// Downloads and compiles what is not there. Another process that does the same is waited for.
    pub(super) fn prepare(kernel: Kernel) -> Result<Self> {
        let folder = kernel.folder();
        fs::create_dir_all(paths::cache().join("vm"))?;
        let lock = File::create(beside(&folder, "lock"))?;
        lock.lock().context("cannot lock the virtual machine's files")?;
        let release = match kept(&folder) {
            Some(release) => release,
            None => make(kernel, &folder)?,
        };
        initramfs::write(&Root::at(&folder), &release)?;
        Ok(Files {
            vmlinux: folder.join("boot/vmlinux"),
            initramfs: folder.join("boot/initramfs"),
            root: folder,
            release,
        })
    }
}

/// The release of the kernel that was made earlier, completely and in the present way.
fn kept(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("boot/complete")).ok()?;
    let (version, release) = text.trim().split_once(' ')?;
    (version == VERSION).then(|| release.to_owned())
}

/// `6.12-unfinished` of `6.12`: an extension would replace the end of the number.
fn beside(folder: &Path, word: &str) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    name.push("-");
    name.push(word);
    name.into()
}

/// In a folder beside, so that an interruption leaves nothing that looks whole.
fn make(kernel: Kernel, folder: &Path) -> Result<String> {
    let started = Instant::now();
    println!(
        "making the virtual machine's kernel {} and its root: once, some minutes",
        kernel.series()
    );
    let unfinished = beside(folder, "unfinished");
    for stale in [folder, &unfinished] {
        if stale.exists() {
            fs::remove_dir_all(stale)
                .with_context(|| format!("cannot remove {}", stale.display()))?;
        }
    }
    let name = format!("vm-{}", kernel.series());
    let apt = PrivateApt::create(&name, &debian::mirror()?, kernel.suites())?;
    let packages = Packages::newest(kernel, &apt)?;
    let root = Root::create(&unfinished, &apt, &[packages.image(), packages.headers()])?;
    netdevsim::build(&root, &apt, &packages)?;
    vmlinux::extract(&root, &packages.release)?;
    fs::write(root.path("boot/complete"), format!("{VERSION} {}\n", packages.release))?;
    fs::rename(&unfinished, folder)?;
    println!("kernel {} is ready after {} s", packages.release, started.elapsed().as_secs());
    Ok(packages.release)
}
