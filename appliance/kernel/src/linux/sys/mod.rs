//! The bpf(2) system call, one function per command. Layouts are those of `union bpf_attr` in the kernel's
//! `include/uapi/linux/bpf.h`, cut after the last field that is used; padding is spelled out.
#![allow(unsafe_code)]

mod entry;
mod libbpf;
mod link;
mod map;
mod mapping;
mod pin;
mod program;
mod trial;

pub(super) use libbpf::{CardLoad, CardLoadError};
pub(super) use link::LinkInfo;
pub(super) use map::{MapInfo, MapSpec};
pub(super) use mapping::Mapping;
pub(super) use program::{ProgramSpec, TestRun};
pub(super) use trial::{TrialMap, TrialProgram, TrialType};

use crate::chaos::Faults;
use nix::errno::Errno;
use std::{
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

/// The result of a call.
pub(super) type Sys<T> = Result<T, Errno>;

/// The kernel; in tests it can be made to fail.
#[derive(Clone, Default)]
pub(super) struct Kernel {
    faults: Option<Faults>,
}

impl Kernel {
    pub(super) fn new(faults: Option<Faults>) -> Self {
        Self { faults }
    }

    /// Asks whether this call is to fail.
    pub(in crate::linux) fn check(&self, call: &'static str) -> Sys<()> {
        self.faults.as_ref().map_or(Ok(()), |faults| faults.check(call))
    }

    /// Name, kind and so on of a map, program or link. `T` is a prefix of the kernel's structure.
    fn info<T: Default>(&self, fd: BorrowedFd<'_>) -> Sys<T> {
        let mut info = T::default();
        self.info_into(fd, &mut info)?;
        Ok(info)
    }

    /// As [`Kernel::info`], with pointers for the kernel to fill.
    fn info_into<T>(&self, fd: BorrowedFd<'_>, info: &mut T) -> Sys<()> {
        #[repr(C)]
        struct Attributes {
            fd: u32,
            length: u32,
            info: u64,
        }
        let mut attributes = Attributes {
            fd: fd.as_raw_fd() as u32,
            length: size_of::<T>() as u32,
            info: address(info),
        };
        // SAFETY: `info` is a live structure of that length.
        unsafe { bpf(Command::ObjectInfo, &mut attributes) }.map(drop)
    }

    /// The ids of all objects of a kind.
    fn ids(&self, next: Command) -> Sys<Vec<u32>> {
        #[repr(C)]
        struct Attributes {
            start: u32,
            next: u32,
            flags: u32,
        }
        let mut ids = Vec::new();
        let mut attributes = Attributes { start: 0, next: 0, flags: 0 };
        loop {
            // SAFETY: the call writes nothing but the attributes.
            match unsafe { bpf(next, &mut attributes) } {
                Ok(_) => ids.push(attributes.next),
                Err(Errno::ENOENT) => return Ok(ids),
                Err(errno) => return Err(errno),
            }
            attributes.start = attributes.next;
        }
    }

    /// A handle on the object of this id; none if it is gone.
    fn by_id(&self, get: Command, id: u32) -> Sys<Option<OwnedFd>> {
        #[repr(C)]
        struct Attributes {
            id: u32,
            next: u32,
            flags: u32,
        }
        let mut attributes = Attributes { id, next: 0, flags: 0 };
        // SAFETY: the call returns a new descriptor.
        match unsafe { bpf_fd(get, &mut attributes) } {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Numbers of `enum bpf_cmd`.
#[derive(Clone, Copy)]
#[repr(i32)]
enum Command {
    MapCreate = 0,
    MapLookup = 1,
    MapUpdate = 2,
    MapDelete = 3,
    MapNextKey = 4,
    ProgramLoad = 5,
    ObjectPin = 6,
    ObjectGet = 7,
    ProgramTestRun = 10,
    ProgramNextId = 11,
    MapNextId = 12,
    ProgramById = 13,
    MapById = 14,
    ObjectInfo = 15,
    BtfLoad = 18,
    MapFreeze = 22,
    MapLookupBatch = 24,
    LinkCreate = 28,
    LinkUpdate = 29,
    LinkById = 30,
    LinkNextId = 31,
    LinkDetach = 34,
}

/// # Safety
/// Every address in the attributes is that of live memory of the length that the command reads or writes.
unsafe fn bpf<T>(command: Command, attributes: &mut T) -> Sys<i64> {
    // SAFETY: the attributes are live; the caller vouches for what they point to.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as i32, std::ptr::from_mut(attributes), size_of::<T>())
    };
    Errno::result(result)
}

/// # Safety
/// As [`bpf`], and the command returns a new file descriptor.
unsafe fn bpf_fd<T>(command: Command, attributes: &mut T) -> Sys<OwnedFd> {
    // SAFETY: as the caller vouches.
    let fd = unsafe { bpf(command, attributes) }?;
    // SAFETY: nobody else knows the new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

fn address<T: ?Sized>(of: *const T) -> u64 {
    of.cast::<()>() as u64
}

fn raw(fd: impl AsFd) -> u32 {
    fd.as_fd().as_raw_fd() as u32
}

/// A name as the kernel keeps it: at most 15 bytes and a zero.
fn object_name(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    bytes
}

fn name_text(name: &[u8; 16]) -> String {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..length]).into_owned()
}
