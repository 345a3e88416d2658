use super::{Command, Kernel, Sys, address, bpf, bpf_fd, name_text, object_name, raw};
use nix::errno::Errno;
use sluice_datapath::abi::{CardTable, CardTableKind, Table, TableKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Numbers of `enum bpf_map_type`.
mod map_type {
    pub(super) const HASH: u32 = 1;
    pub(super) const ARRAY: u32 = 2;
    pub(super) const PROG_ARRAY: u32 = 3;
    pub(super) const PERCPU_ARRAY: u32 = 6;
    pub(super) const RINGBUF: u32 = 27;
}

const F_RDONLY_PROG: u32 = 1 << 7;
const F_MMAPABLE: u32 = 1 << 10;

/// What a map is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::linux) struct MapSpec<'a> {
    pub(in crate::linux) name: &'a str,
    pub(in crate::linux) kind: u32,
    pub(in crate::linux) key_size: u32,
    pub(in crate::linux) value_size: u32,
    pub(in crate::linux) entries: u32,
    pub(in crate::linux) flags: u32,
    /// The link of the card that it lies on; zero for the host.
    pub(in crate::linux) card: u32,
}

impl<'a> MapSpec<'a> {
    /// An array that is mapped into memory.
    pub(in crate::linux) fn shared(name: &'a str, value_size: u32, entries: u32) -> Self {
        let (kind, flags) = (map_type::ARRAY, F_MMAPABLE);
        Self { name, kind, key_size: 4, value_size, entries, flags, card: 0 }
    }

    /// Constants of a program: one value that the program only reads.
    pub(in crate::linux) fn constants(name: &'a str, value_size: u32) -> Self {
        let flags = F_RDONLY_PROG;
        Self { name, kind: map_type::ARRAY, key_size: 4, value_size, entries: 1, flags, card: 0 }
    }

    /// Programs by index, for tail calls.
    pub(in crate::linux) fn programs(name: &'a str, entries: u32) -> Self {
        let kind = map_type::PROG_ARRAY;
        Self { name, kind, key_size: 4, value_size: 4, entries, flags: 0, card: 0 }
    }

    /// A table of the ABI.
    pub(in crate::linux) fn table(table: Table, entries: u32) -> MapSpec<'static> {
        let (name, value_size) = (table.name(), table.value_size() as u32);
        match table.kind() {
            TableKind::Shared => MapSpec::shared(name, value_size, entries),
            TableKind::PerCpu => {
                let kind = map_type::PERCPU_ARRAY;
                MapSpec { name, kind, key_size: 4, value_size, entries, flags: 0, card: 0 }
            }
            TableKind::Ring => {
                let kind = map_type::RINGBUF;
                MapSpec { name, kind, key_size: 0, value_size: 0, entries, flags: 0, card: 0 }
            }
        }
    }

    /// A table of a card, on the card of this link or (zero) on the host.
    pub(in crate::linux) fn card(table: CardTable, entries: u32, card: u32) -> MapSpec<'static> {
        let kind = match table.kind() {
            CardTableKind::Array => map_type::ARRAY,
            CardTableKind::Hash => map_type::HASH,
        };
        let (key_size, value_size) = (table.key_size() as u32, table.value_size() as u32);
        MapSpec { name: table.name(), kind, key_size, value_size, entries, flags: 0, card }
    }
}

/// Begin of `struct bpf_map_info`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(in crate::linux) struct MapInfo {
    pub(in crate::linux) kind: u32,
    pub(in crate::linux) id: u32,
    pub(in crate::linux) key_size: u32,
    pub(in crate::linux) value_size: u32,
    pub(in crate::linux) entries: u32,
    pub(in crate::linux) flags: u32,
    name: [u8; 16],
    /// The link of the card that it lies on.
    pub(in crate::linux) card: u32,
}

impl MapInfo {
    /// Whether it is an array or a hash table with one value per key.
    pub(in crate::linux) fn is_plain(&self) -> bool {
        matches!(self.kind, map_type::ARRAY | map_type::HASH)
    }

    pub(in crate::linux) fn name(&self) -> String {
        name_text(&self.name)
    }

    /// What the map is, in the form of what it was to be.
    pub(in crate::linux) fn spec<'a>(&self, name: &'a str) -> MapSpec<'a> {
        let Self { kind, key_size, value_size, entries, flags, card, .. } = *self;
        MapSpec { name, kind, key_size, value_size, entries, flags, card }
    }
}

#[repr(C)]
pub(super) struct Element {
    pub(super) map: u32,
    pub(super) pad: u32,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) flags: u64,
}

impl Kernel {
    pub(in crate::linux) fn map_create(&self, spec: &MapSpec<'_>) -> Sys<OwnedFd> {
        #[repr(C)]
        struct Attributes {
            kind: u32,
            key_size: u32,
            value_size: u32,
            entries: u32,
            flags: u32,
            inner_map: u32,
            numa_node: u32,
            name: [u8; 16],
            card: u32,
        }
        self.check("map_create")?;
        let mut attributes = Attributes {
            kind: spec.kind,
            key_size: spec.key_size,
            value_size: spec.value_size,
            entries: spec.entries,
            flags: spec.flags,
            inner_map: 0,
            numa_node: 0,
            name: object_name(spec.name),
            card: spec.card,
        };
        // SAFETY: the attributes hold no addresses; the call returns a new descriptor.
        unsafe { bpf_fd(Command::MapCreate, &mut attributes) }
    }

    pub(in crate::linux) fn map_info(&self, map: impl AsFd) -> Sys<MapInfo> {
        self.info(map.as_fd())
    }

    pub(in crate::linux) fn map_ids(&self) -> Sys<Vec<u32>> {
        self.ids(Command::MapNextId)
    }

    pub(in crate::linux) fn map_by_id(&self, id: u32) -> Sys<Option<OwnedFd>> {
        self.by_id(Command::MapById, id)
    }

    /// Forbids user space to change the map, so that the verifier may take its contents for constant.
    pub(in crate::linux) fn map_freeze(&self, map: BorrowedFd<'_>) -> Sys<()> {
        self.check("map_freeze")?;
        let mut attributes = raw(map);
        // SAFETY: the attributes hold no addresses.
        unsafe { bpf(Command::MapFreeze, &mut attributes) }.map(drop)
    }

    /// Writes an entry of a map that is no per-CPU map. `value` has the map's value size.
    pub(in crate::linux) fn map_write(
        &self,
        map: BorrowedFd<'_>,
        index: u32,
        value: &[u8],
    ) -> Sys<()> {
        self.check("map_write")?;
        if value.len() != self.map_info(map)?.value_size as usize {
            return Err(Errno::EINVAL);
        }
        // SAFETY: the value is as long as the map's.
        unsafe { self.update(map, index, address(value)) }
    }

    /// Reads an entry of a map that is no per-CPU map; of programs, their ids.
    pub(in crate::linux) fn map_read(&self, map: BorrowedFd<'_>, index: u32) -> Sys<Vec<u8>> {
        let info = self.map_info(map)?;
        if info.kind != map_type::ARRAY && info.kind != map_type::PROG_ARRAY {
            return Err(Errno::EINVAL);
        }
        // The kernel copies whole words.
        let mut value = vec![0; (info.value_size as usize).next_multiple_of(8)];
        let mut attributes = Element {
            map: raw(map),
            pad: 0,
            key: address(&raw const index),
            value: value.as_mut_ptr() as u64,
            flags: 0,
        };
        // SAFETY: key and value are as long as the map's.
        unsafe { bpf(Command::MapLookup, &mut attributes) }?;
        value.truncate(info.value_size as usize);
        Ok(value)
    }

    /// Writes an entry of a per-CPU array: the same words on every CPU.
    pub(in crate::linux) fn map_write_per_cpu(
        &self,
        map: BorrowedFd<'_>,
        index: u32,
        value: &[u64],
        cpus: usize,
    ) -> Sys<()> {
        self.check("map_write_per_cpu")?;
        if size_of_val(value) != self.map_info(map)?.value_size as usize {
            return Err(Errno::EINVAL);
        }
        let values = value.repeat(cpus);
        // SAFETY: one value per possible CPU, each of the map's size.
        unsafe { self.update(map, index, address(values.as_slice())) }
    }

    /// # Safety
    /// The value is as long as the map wants it.
    unsafe fn update(&self, map: BorrowedFd<'_>, index: u32, value: u64) -> Sys<()> {
        let mut attributes =
            Element { map: raw(map), pad: 0, key: address(&raw const index), value, flags: 0 };
        // SAFETY: the caller vouches for the value; the key of an array is an index.
        unsafe { bpf(Command::MapUpdate, &mut attributes) }.map(drop)
    }

    /// Reads consecutive entries of a per-CPU array from `first` on into `words`: per entry and CPU the words of
    /// one value. Returns how many entries were read; less than wanted at the end of the map.
    pub(in crate::linux) fn map_read_per_cpu(
        &self,
        map: BorrowedFd<'_>,
        first: u32,
        entries: u32,
        words: &mut [u64],
        words_per_entry: usize,
    ) -> Sys<u32> {
        #[repr(C)]
        struct Attributes {
            in_batch: u64,
            out_batch: u64,
            keys: u64,
            values: u64,
            count: u32,
            map: u32,
            element_flags: u64,
            flags: u64,
        }
        if words.len() < entries as usize * words_per_entry {
            return Err(Errno::EINVAL);
        }
        self.check("map_read_per_cpu")?;
        // A batch begins behind the key that it is given.
        let before = first.wrapping_sub(1);
        let mut out_batch = 0u32;
        let mut keys = vec![0u32; entries as usize];
        let mut attributes = Attributes {
            in_batch: if first == 0 { 0 } else { address(&raw const before) },
            out_batch: address(&raw mut out_batch),
            keys: keys.as_mut_ptr() as u64,
            values: words.as_mut_ptr() as u64,
            count: entries,
            map: raw(map),
            element_flags: 0,
            flags: 0,
        };
        // SAFETY: keys and words have room for `count` entries; the callers take `words_per_entry` from the
        // map's value size and the number of possible CPUs.
        match unsafe { bpf(Command::MapLookupBatch, &mut attributes) } {
            // The end of the map.
            Ok(_) | Err(Errno::ENOENT) => Ok(attributes.count),
            Err(errno) => Err(errno),
        }
    }
}
