use super::{Kernel, Sys};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use sluice_datapath::abi::Shared64;
use std::{ffi::c_void, num::NonZeroUsize, os::fd::BorrowedFd, ptr::NonNull};

/// A mapped array: memory that the programs read and write too.
#[derive(Debug)]
pub(in crate::linux) struct Mapping {
    at: NonNull<c_void>,
    length: NonZeroUsize,
    words: usize,
}

// SAFETY: the memory stays mapped as long as the value lives and is only accessed as shared words.
unsafe impl Send for Mapping {}
// SAFETY: as for `Send`.
unsafe impl Sync for Mapping {}

impl Kernel {
    /// Maps an array with this many bytes of values.
    pub(in crate::linux) fn map_memory(&self, map: BorrowedFd<'_>, bytes: usize) -> Sys<Mapping> {
        self.check("map_memory")?;
        let info = self.map_info(map)?;
        let there = info.value_size.next_multiple_of(8) as usize * info.entries as usize;
        let length = match NonZeroUsize::new(bytes) {
            Some(length) if bytes <= there => length,
            _ => return Err(nix::errno::Errno::EINVAL),
        };
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses, no longer than the array.
        let at = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, map, 0) }?;
        Ok(Mapping { at, length, words: bytes / 8 })
    }
}

impl Mapping {
    pub(in crate::linux) fn words(&self) -> &[Shared64] {
        // SAFETY: page-aligned and mapped for as long as `self`; `Shared64` is a word of which any value is
        // valid and all accesses are atomic.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr().cast(), self.words) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the address and length of `mmap`; no reference outlives `self`. It cannot fail for those.
        let _ = unsafe { munmap(self.at, self.length.get()) };
    }
}
