//! The files under the pin directory:
//!
//! ```text
//! tables/<TABLE>          the tables in use
//! tables/<TABLE>-carried  what was counted before a table of counters grew
//! tables/ABI              version of the tables
//! staged/                 another set of tables, while the programs change from one to the other
//! links/<ifindex>         attachments; they keep program and attachment alive
//! links/<ifindex>-why     a symbolic link whose target says why an attachment is not native
//! links/<ifindex>-next-<id>  the map of programs (by its id) in which the attached program continues
//! ```
//!
//! The BPF file system allows no dots in names.

use super::sys::{Kernel, Sys};
use crate::{Error, Object, Result};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    mount::{MsFlags, mount},
    sys::statfs::statfs,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where the kernel's BPF file system is usually mounted.
const BPF_FILE_SYSTEM: &str = "/sys/fs/bpf";
const BPF_FS_MAGIC: u32 = 0xcafe_4a11;
/// How long an ending process may still hold the directory.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// The pin directory, held by this process alone.
pub(super) struct Pins {
    root: PathBuf,
    /// Released when it is dropped or the process dies.
    _lock: Flock<File>,
}

impl Pins {
    /// Makes the directory, mounts the BPF file system if that is missing, and locks the directory.
    pub(super) fn open(root: &Path) -> Result<Self> {
        mount_if_missing(root)?;
        let above = root.ancestors().find(|path| path.exists()).unwrap_or(root);
        if !is_bpf(above).map_err(at(above, "look at its file system"))? {
            return Err(Error::NoBpfFileSystem(root.to_owned()));
        }
        fs::create_dir_all(root).map_err(|error| failed(root, "make the directory", &error))?;
        Ok(Self { root: root.to_owned(), _lock: lock(root)? })
    }

    /// As [`Pins::open`], but none if there is no such directory.
    pub(super) fn existing(root: &Path) -> Result<Option<Self>> {
        if root.is_dir() { Self::open(root).map(Some) } else { Ok(None) }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn tables(&self) -> PathBuf {
        self.root.join("tables")
    }

    pub(super) fn staged(&self) -> PathBuf {
        self.root.join("staged")
    }

    pub(super) fn links(&self) -> PathBuf {
        self.root.join("links")
    }

    pub(super) fn link(&self, ifindex: u32) -> PathBuf {
        self.links().join(ifindex.to_string())
    }

    pub(super) fn why(&self, ifindex: u32) -> PathBuf {
        self.links().join(format!("{ifindex}-why"))
    }

    /// Where a map of programs is pinned.
    pub(super) fn next(&self, ifindex: u32, map: u32) -> PathBuf {
        self.links().join(format!("{ifindex}-next-{map}"))
    }

    /// The pinned maps of programs of a link, with their ids.
    pub(super) fn nexts(&self, ifindex: u32) -> Result<Vec<(PathBuf, u32)>> {
        let prefix = format!("{ifindex}-next-");
        let id = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix(&prefix)?.parse().ok();
        let files = files(&self.links())?.into_iter();
        Ok(files.filter_map(|path| id(&path).map(|id| (path, id))).collect())
    }

    /// Why an attachment is not native, if that was noted.
    pub(super) fn read_why(&self, ifindex: u32) -> Option<String> {
        let target = fs::read_link(self.why(ifindex)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// The links with pinned attachments, by index.
    pub(super) fn link_pins(&self) -> Result<Vec<u32>> {
        let mut links: Vec<u32> = files(&self.links())?
            .iter()
            .filter_map(|path| path.file_name()?.to_str()?.parse().ok())
            .collect();
        links.sort_unstable();
        Ok(links)
    }
}

/// The files of a directory; none if it does not exist.
pub(super) fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(directory, "list", &error)),
    };
    entries
        .map(|entry| Ok(entry.map_err(|error| failed(directory, "list", &error))?.path()))
        .collect()
}

/// Removes a directory of pins with what is in it.
pub(super) fn remove_all(kernel: &Kernel, directory: &Path) -> Result<()> {
    for file in files(directory)? {
        kernel.unpin(&file).map_err(|errno| at(&file, "remove the pin")(errno))?;
    }
    kernel.remove_directory(directory).map_err(|errno| at(directory, "remove")(errno))
}

/// Turns the answer to an operation on a path into an error about it.
pub(super) fn at(path: &Path, operation: &'static str) -> impl FnOnce(Errno) -> Error + use<> {
    let object = Object::Path(path.to_owned());
    move |errno| Error::kernel(object, operation, errno)
}

fn failed(path: &Path, operation: &'static str, error: &std::io::Error) -> Error {
    at(path, operation)(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

fn mount_if_missing(root: &Path) -> Result<()> {
    let usual = Path::new(BPF_FILE_SYSTEM);
    if !root.starts_with(usual) || is_bpf(usual) == Ok(true) {
        return Ok(());
    }
    mount(Some("bpf"), usual, Some("bpf"), MsFlags::empty(), None::<&str>)
        .map_err(at(usual, "mount the BPF file system"))
}

fn is_bpf(path: &Path) -> Sys<bool> {
    Ok(statfs(path)?.filesystem_type().0 as u32 == BPF_FS_MAGIC)
}

fn lock(root: &Path) -> Result<Flock<File>> {
    let begin = Instant::now();
    let mut file = File::open(root).map_err(|error| failed(root, "open", &error))?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if begin.elapsed() < LOCK_PATIENCE => {
                file = back;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err((_, Errno::EWOULDBLOCK)) => return Err(Error::InUse(root.to_owned())),
            Err((_, errno)) => return Err(at(root, "lock")(errno)),
        }
    }
}
