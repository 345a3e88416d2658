use super::{Command, Kernel, Sys, address, bpf, map::Element, raw};
use nix::errno::Errno;
use std::os::fd::BorrowedFd;

/// Entries of arrays and hash tables with one value per key, by keys of any size. Keys and values must have the map's
/// sizes.
impl Kernel {
    /// The value of a key, if it is there.
    pub(in crate::linux) fn entry_read(
        &self,
        map: BorrowedFd<'_>,
        key: &[u8],
    ) -> Sys<Option<Vec<u8>>> {
        self.check("entry_read")?;
        let info = self.map_info(map)?;
        if key.len() != info.key_size as usize || !info.is_plain() {
            return Err(Errno::EINVAL);
        }
        // The kernel copies whole words.
        let mut value = vec![0; (info.value_size as usize).next_multiple_of(8)];
        let mut attributes = Element {
            map: raw(map),
            pad: 0,
            key: address(key),
            value: value.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: key and value are as long as the map's.
        match unsafe { bpf(Command::MapLookup, &mut attributes) } {
            Ok(_) => {
                value.truncate(info.value_size as usize);
                Ok(Some(value))
            }
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Writes the value of a key, new or not.
    pub(in crate::linux) fn entry_write(
        &self,
        map: BorrowedFd<'_>,
        key: &[u8],
        value: &[u8],
    ) -> Sys<()> {
        self.check("entry_write")?;
        let info = self.map_info(map)?;
        let fits = key.len() == info.key_size as usize && value.len() == info.value_size as usize;
        if !fits || !info.is_plain() {
            return Err(Errno::EINVAL);
        }
        let mut attributes =
            Element { map: raw(map), pad: 0, key: address(key), value: address(value), flags: 0 };
        // SAFETY: key and value are as long as the map's.
        unsafe { bpf(Command::MapUpdate, &mut attributes) }.map(drop)
    }

    /// Removes a key; whether it was there.
    pub(in crate::linux) fn entry_delete(&self, map: BorrowedFd<'_>, key: &[u8]) -> Sys<bool> {
        self.check("entry_delete")?;
        if key.len() != self.map_info(map)?.key_size as usize {
            return Err(Errno::EINVAL);
        }
        let mut attributes =
            Element { map: raw(map), pad: 0, key: address(key), value: 0, flags: 0 };
        // SAFETY: the key is as long as the map's.
        match unsafe { bpf(Command::MapDelete, &mut attributes) } {
            Ok(_) => Ok(true),
            Err(Errno::ENOENT) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// The keys of a map, in the kernel's order.
    pub(in crate::linux) fn entry_keys(&self, map: BorrowedFd<'_>) -> Sys<Vec<Vec<u8>>> {
        self.check("entry_keys")?;
        let info = self.map_info(map)?;
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut next = vec![0; info.key_size as usize];
        // An entry that vanishes makes the kernel begin anew: no more than there can be.
        while keys.len() < info.entries as usize {
            let mut attributes = Element {
                map: raw(map),
                pad: 0,
                key: keys.last().map_or(0, |key| address(key.as_slice())),
                value: next.as_mut_ptr() as u64,
                flags: 0,
            };
            // SAFETY: both keys are as long as the map's.
            match unsafe { bpf(Command::MapNextKey, &mut attributes) } {
                Ok(_) => keys.push(next.clone()),
                Err(Errno::ENOENT) => break,
                Err(errno) => return Err(errno),
            }
        }
        Ok(keys)
    }
}
