//! Network namespaces, in which devices and their links are made.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

use crate::Error;

/// The namespace of the thread that asks; that of the process may be another.
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace without a name, which ends with this value and what is in it.
#[derive(Debug)]
pub struct NetworkNamespace {
    file: File,
}

impl NetworkNamespace {
    /// A new and empty one; the calling thread stays where it is.
    ///
    /// # Errors
    /// When this process may not make namespaces.
    pub fn create() -> Result<Self, Error> {
        // A thread takes its namespace along when it ends, unless somebody holds it open.
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)
                .map_err(|errno| Error::Namespace { action: "make", errno })?;
            own_namespace()
        });
        let file = made
            .join()
            .unwrap_or(Err(Error::Namespace { action: "make", errno: Errno::UnknownErrno }))?;
        Ok(Self { file })
    }

    /// One that has a path, as those of `ip netns` have.
    ///
    /// # Errors
    /// When there is none.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { file: File::open(path).map_err(Error::of("open", path))? })
    }
}

impl AsFd for NetworkNamespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Does something in another network namespace, on a thread of its own: the caller's namespace stays.
///
/// # Errors
/// When the namespace can't be entered.
///
/// # Panics
/// As `action` does.
pub fn within<T: Send>(
    namespace: &NetworkNamespace,
    action: impl FnOnce() -> T + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        let entered = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)
                .map_err(|errno| Error::Namespace { action: "enter", errno })?;
            Ok(action())
        });
        entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

pub(crate) fn own_namespace() -> Result<File, Error> {
    File::open(OWN).map_err(Error::of("open", Path::new(OWN)))
}
