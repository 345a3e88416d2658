//! What can go wrong.

use std::path::{Path, PathBuf};

use nix::errno::Errno;

/// Why a simulated NIC is not as asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no driver.
    #[error(
        "no driver netdevsim in this kernel ({0} is missing): load it with `modprobe netdevsim`"
    )]
    NoDriver(PathBuf),
    /// There is a driver, but nothing to see or turn.
    #[error(
        "the debug file system shows nothing of netdevsim ({0} is missing): mount it on /sys/kernel/debug"
    )]
    NoDebugFileSystem(PathBuf),
    /// The kernel refused.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried: read, write, and so on.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The answer.
        source: std::io::Error,
    },
    /// The kernel wrote something that isn't understood here.
    #[error("{} holds {found:?} where {expected} was expected", path.display())]
    Unexpected {
        /// Of which file.
        path: PathBuf,
        /// What is there.
        found: String,
        /// What should be there.
        expected: &'static str,
    },
    /// A port has no link here.
    #[error("port {port} of netdevsim{device} has no link in this network namespace")]
    NoLink {
        /// The device.
        device: u32,
        /// The port.
        port: u32,
    },
    /// A command failed.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command.
        command: String,
        /// What it said.
        said: String,
    },
    /// A network namespace could not be made or entered.
    #[error("cannot {action} a network namespace: {errno}")]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// The answer.
        errno: Errno,
    },
}

impl Error {
    /// For `map_err` on operations with a file.
    pub(crate) fn of(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    }

    /// The kernel's answer, if it gave one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Error::File { source, .. } => source.raw_os_error().map(Errno::from_raw),
            Error::Namespace { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}
