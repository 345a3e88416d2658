use super::{Command, Kernel, Sys, address, bpf, bpf_fd, raw};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, RenameFlags, renameat2},
    unistd::{symlinkat, unlink},
};
use std::{
    ffi::CString,
    fs,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

#[repr(C)]
struct Attributes {
    path: u64,
    fd: u32,
    flags: u32,
}

fn c_path(path: &Path) -> Sys<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

impl Kernel {
    /// Gives an object a name in the file system, which keeps it alive.
    pub(in crate::linux) fn pin(&self, object: BorrowedFd<'_>, path: &Path) -> Sys<()> {
        self.check("pin")?;
        let name = c_path(path)?;
        let mut attributes = Attributes { path: address(name.as_ptr()), fd: raw(object), flags: 0 };
        // SAFETY: the path is a live string.
        unsafe { bpf(Command::ObjectPin, &mut attributes) }.map(drop)
    }

    /// Opens a pinned object; none if there is no such file.
    pub(in crate::linux) fn pinned(&self, path: &Path) -> Sys<Option<OwnedFd>> {
        self.check("pinned")?;
        let name = c_path(path)?;
        let mut attributes = Attributes { path: address(name.as_ptr()), fd: 0, flags: 0 };
        // SAFETY: the path is a live string; the call returns a new descriptor.
        match unsafe { bpf_fd(Command::ObjectGet, &mut attributes) } {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Removes a file; it may be gone already.
    pub(in crate::linux) fn unpin(&self, path: &Path) -> Sys<()> {
        self.check("unpin")?;
        match unlink(path) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Makes a directory; it may be there already.
    pub(in crate::linux) fn make_directory(&self, path: &Path) -> Sys<()> {
        self.check("make_directory")?;
        match fs::create_dir(path) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(errno(&error)),
            _ => Ok(()),
        }
    }

    /// Removes an empty directory; it may be gone already.
    pub(in crate::linux) fn remove_directory(&self, path: &Path) -> Sys<()> {
        self.check("remove_directory")?;
        match fs::remove_dir(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(errno(&error)),
            _ => Ok(()),
        }
    }

    /// Lets two directories change places in one step.
    pub(in crate::linux) fn exchange(&self, one: &Path, other: &Path) -> Sys<()> {
        self.check("exchange")?;
        renameat2(AT_FDCWD, one, AT_FDCWD, other, RenameFlags::RENAME_EXCHANGE)
    }

    /// Renames a directory.
    pub(in crate::linux) fn rename(&self, from: &Path, to: &Path) -> Sys<()> {
        self.check("rename")?;
        renameat2(AT_FDCWD, from, AT_FDCWD, to, RenameFlags::RENAME_NOREPLACE)
    }

    /// Leaves a text as the target of a symbolic link: the BPF file system keeps no other text.
    pub(in crate::linux) fn write_note(&self, path: &Path, text: &str) -> Sys<()> {
        self.check("write_note")?;
        self.unpin(path)?;
        // Targets are shorter than a page and have no zero.
        let text: String = text.chars().filter(|c| *c != '\0').take(900).collect();
        symlinkat(text.as_str(), AT_FDCWD, path)
    }
}
