//! A mount namespace for the daemon, with a BPF file system of its own.
//!
//! The daemon pins what it makes below /sys/fs/bpf. In the laboratory that must not meet a Sluice that serves the
//! machine, and it must be gone when the laboratory is gone, however it ended. A mounted BPF file system of its own
//! does both: pins survive the daemon, and die with the last process and handle of the mount namespace.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};

use super::Namespace;
use crate::process;

/// Where programs, links and maps are pinned.
const BPF_FILE_SYSTEM: &str = "/sys/fs/bpf";

/// Holds the mount namespace open.
pub(crate) struct PrivateMounts {
    file: File,
    /// What the kernel itself shows in every BPF file system.
    own: Vec<PathBuf>,
}

impl PrivateMounts {
    /// Makes a mount namespace whose /sys shows the links of `network` and holds an empty BPF file system.
    pub(crate) fn create(network: &Namespace) -> Result<Self> {
        let (file, own) = network.enter(|| {
            unshare(CloneFlags::CLONE_NEWNS).context("cannot make a mount namespace")?;
            let nothing: Option<&Path> = None;
            // Mounts of the machine still arrive here; ours stay here.
            mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_SLAVE, nothing)
                .context("cannot separate the mounts")?;
            mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), nothing)
                .context("cannot mount sysfs")?;
            mount(Some("bpf"), BPF_FILE_SYSTEM, Some("bpf"), MsFlags::empty(), nothing)
                .with_context(|| format!("cannot mount a BPF file system on {BPF_FILE_SYSTEM}"))?;
            let file = File::open("/proc/thread-self/ns/mnt")
                .context("cannot keep the mount namespace")?;
            Ok((file, files()?))
        })?;
        Ok(PrivateMounts { file, own })
    }

    /// Calls `work` in a thread of its own, inside these mounts and the network namespace.
    pub(crate) fn enter<T: Send>(
        &self,
        network: &Namespace,
        work: impl FnOnce() -> Result<T> + Send,
    ) -> Result<T> {
        network.enter(|| {
            // A thread that shares its root and working folder with others may not change mounts.
            unshare(CloneFlags::CLONE_FS)?;
            setns(&self.file, CloneFlags::CLONE_NEWNS)
                .context("cannot enter the daemon's mounts")?;
            work()
        })
    }

    /// Starts a program inside.
    pub(crate) fn spawn(&self, network: &Namespace, command: &mut Command) -> Result<Child> {
        command.process_group(0);
        self.enter(network, || {
            command.spawn().with_context(|| format!("cannot start {}", process::name(command)))
        })
    }

    /// Everything that was pinned.
    pub(crate) fn pins(&self, network: &Namespace) -> Result<Vec<PathBuf>> {
        let mut pins = self.enter(network, files)?;
        pins.retain(|file| !self.own.contains(file));
        Ok(pins)
    }
}

/// Every file of the BPF file system that the calling thread sees.
fn files() -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from(BPF_FILE_SYSTEM)];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}
