use super::{
    pins::at,
    sys::{Kernel, MapSpec, Mapping, Sys},
};
use crate::{
    Error, Object, Result, Sizes, TableStore,
    growth::{Growth, carry_over, growth},
};
use sluice_datapath::abi::{ABI_VERSION, Shared64, Table, TableKind};
use std::{
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

/// One table in the kernel.
pub(super) struct TableMap {
    fd: OwnedFd,
    id: u32,
    /// For tables of kind `Shared`.
    memory: Option<Mapping>,
}

impl TableMap {
    fn new(kernel: &Kernel, table: Table, entries: u32, fd: OwnedFd) -> Result<Self> {
        let failed = |operation| move |errno| Error::kernel(Object::Table(table), operation, errno);
        let id = kernel.map_info(&fd).map_err(failed("look at the map"))?.id;
        let memory = match table.kind() {
            TableKind::Shared => {
                let bytes = entries as usize * table.value_size();
                let memory = kernel.map_memory(fd.as_fd(), bytes);
                Some(memory.map_err(failed("map it into memory"))?)
            }
            TableKind::PerCpu | TableKind::Ring => None,
        };
        Ok(Self { fd, id, memory })
    }

    fn create(kernel: &Kernel, table: Table, entries: u32) -> Result<Self> {
        let fd = kernel
            .map_create(&MapSpec::table(table, entries))
            .map_err(|errno| Error::kernel(Object::Table(table), "create the map", errno))?;
        Self::new(kernel, table, entries, fd)
    }

    fn words(&self) -> &[Shared64] {
        self.memory.as_ref().map(Mapping::words).unwrap_or_default()
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A set of tables in the kernel. Sets share the tables in which they do not differ.
pub(super) struct Tables {
    sizes: Sizes,
    maps: Vec<Arc<TableMap>>,
    /// What was counted before a table of counters grew, with an entry for each of its entries at that time.
    carried: BTreeMap<Table, Arc<Carried>>,
}

/// Sums over all CPUs, only for user space. (User space cannot add to the counter of a CPU that counts.)
pub(super) struct Carried {
    fd: OwnedFd,
    memory: Mapping,
}

impl Carried {
    fn new(kernel: &Kernel, table: Table, fd: OwnedFd) -> Result<Self> {
        let failed = |operation| move |errno| Error::kernel(Object::Table(table), operation, errno);
        let entries = kernel.map_info(&fd).map_err(failed("look at its earlier counts"))?.entries;
        let bytes = entries as usize * table.value_size();
        let memory =
            kernel.map_memory(fd.as_fd(), bytes).map_err(failed("map its earlier counts"))?;
        Ok(Self { fd, memory })
    }

    fn create(kernel: &Kernel, table: Table, entries: u32) -> Result<Self> {
        let spec = MapSpec::shared(CARRIED_MAP, table.value_size() as u32, entries);
        let fd = kernel.map_create(&spec).map_err(|errno| {
            Error::kernel(Object::Table(table), "create the map of its earlier counts", errno)
        })?;
        Self::new(kernel, table, fd)
    }

    pub(super) fn words(&self) -> &[Shared64] {
        self.memory.words()
    }
}

/// Name of the maps of earlier counts.
const CARRIED_MAP: &str = "sluice_carried";
/// Name of the map with the version of the tables, and of its pin.
const ABI_MAP: &str = "ABI";

impl Tables {
    /// New tables with zeros.
    pub(super) fn create(kernel: &Kernel, sizes: &Sizes) -> Result<Self> {
        sizes.check()?;
        let maps = sizes
            .iter()
            .map(|(table, entries)| Ok(Arc::new(TableMap::create(kernel, table, entries)?)))
            .collect::<Result<_>>()?;
        Ok(Self { sizes: *sizes, maps, carried: BTreeMap::new() })
    }

    /// The tables that are pinned in a directory, or why they are not what this version needs.
    pub(super) fn open(kernel: &Kernel, directory: &Path) -> Result<Result<Self, String>> {
        match pinned_version(kernel, directory)? {
            Some(ABI_VERSION) => {}
            Some(found) => {
                return Ok(Err(format!(
                    "they are of version {found}, this program needs version {ABI_VERSION}"
                )));
            }
            None => return Ok(Err("their version is not recorded".into())),
        }
        let mut sizes = Sizes::smallest();
        let mut maps = Vec::new();
        let mut carried = BTreeMap::new();
        for &table in Table::ALL {
            let path = directory.join(table.name());
            let Some(fd) = kernel.pinned(&path).map_err(at(&path, "open the pinned map"))? else {
                return Ok(Err(format!("table {} is missing", table.name())));
            };
            let found = kernel
                .map_info(&fd)
                .map_err(|errno| Error::kernel(Object::Table(table), "look at the map", errno))?;
            let wanted = MapSpec::table(table, found.entries);
            let found_spec = found.spec(wanted.name);
            // The kernel keeps the first 15 characters of a name.
            if !table.name().starts_with(&found.name()) || found_spec != wanted {
                return Ok(Err(format!(
                    "table {} is of another shape: wanted {wanted:?}, found '{}' {found_spec:?}",
                    table.name(),
                    found.name()
                )));
            }
            sizes.set(table, found.entries);
            maps.push(Arc::new(TableMap::new(kernel, table, found.entries, fd)?));
            let path = directory.join(carried_pin(table));
            if growth(table) == Growth::Sum
                && let Some(fd) = kernel.pinned(&path).map_err(at(&path, "open the pinned map"))?
            {
                carried.insert(table, Arc::new(Carried::new(kernel, table, fd)?));
            }
        }
        if !sizes.cover(&Sizes::smallest()) {
            return Ok(Err("a table of fixed size is too small".into()));
        }
        Ok(Ok(Self { sizes, maps, carried }))
    }

    /// Larger tables with the same contents; those that keep their size are shared with the old.
    pub(super) fn grown(&self, kernel: &Kernel, sizes: &Sizes) -> Result<Self> {
        let mut carried = self.carried.clone();
        let mut maps = Vec::new();
        for ((table, entries), old) in sizes.iter().zip(&self.maps) {
            if entries == self.sizes.get(table) {
                maps.push(old.clone());
                continue;
            }
            let new = TableMap::create(kernel, table, entries)?;
            carry_over(table, old.words(), new.words());
            maps.push(Arc::new(new));
            if growth(table) == Growth::Sum {
                let old_entries = self.sizes.get(table);
                carried.insert(table, Arc::new(Carried::create(kernel, table, old_entries)?));
            }
        }
        Ok(Self { sizes: *sizes, maps, carried })
    }

    /// Pins the tables in a directory under their names.
    pub(super) fn pin(&self, kernel: &Kernel, directory: &Path) -> Result<()> {
        kernel.make_directory(directory).map_err(at(directory, "make the directory"))?;
        for &table in Table::ALL {
            let path = directory.join(table.name());
            kernel.pin(self.map(table).fd(), &path).map_err(at(&path, "pin the map"))?;
        }
        for (&table, carried) in &self.carried {
            let path = directory.join(carried_pin(table));
            kernel.pin(carried.fd.as_fd(), &path).map_err(at(&path, "pin the map"))?;
        }
        // Last: a set without a version is not taken over.
        let path = directory.join(ABI_MAP);
        pin_version(kernel, &path).map_err(at(&path, "pin the version of the tables"))
    }

    /// What was counted before a table grew.
    pub(super) fn carried(&self, table: Table) -> Option<&Carried> {
        self.carried.get(&table).map(Arc::as_ref)
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }

    pub(super) fn map(&self, table: Table) -> &TableMap {
        &self.maps[table as usize]
    }

    /// Whether the other set has the same map for this table.
    pub(super) fn shares(&self, other: &Self, table: Table) -> bool {
        self.map(table).id == other.map(table).id
    }

    /// Whether a program that uses these maps uses the tables of this set and no others.
    pub(super) fn are_those_of(&self, kernel: &Kernel, map_ids: &[u32]) -> Result<bool> {
        for &id in map_ids {
            if self.maps.iter().any(|map| map.id == id) {
                continue;
            }
            // Maps of other names are the program's own constants.
            let look = |errno| Error::kernel(Object::Tables, "look at a map", errno);
            let Some(fd) = kernel.map_by_id(id).map_err(look)? else { return Ok(false) };
            let name = kernel.map_info(fd).map_err(look)?.name();
            if Table::ALL.iter().any(|table| table.name() == name) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn carried_pin(table: Table) -> String {
    format!("{}-carried", table.name())
}

fn pin_version(kernel: &Kernel, path: &Path) -> Sys<()> {
    let map = kernel.map_create(&MapSpec::shared(ABI_MAP, 8, 1))?;
    kernel.map_write(map.as_fd(), 0, &u64::from(ABI_VERSION).to_ne_bytes())?;
    kernel.pin(map.as_fd(), path)
}

fn pinned_version(kernel: &Kernel, directory: &Path) -> Result<Option<u32>> {
    let path = directory.join(ABI_MAP);
    let Some(map) = kernel.pinned(&path).map_err(at(&path, "open the version of the tables"))?
    else {
        return Ok(None);
    };
    let bytes = kernel.map_read(map.as_fd(), 0);
    let bytes = bytes.map_err(at(&path, "read the version of the tables"))?;
    Ok(bytes.try_into().ok().and_then(|bytes| u64::from_ne_bytes(bytes).try_into().ok()))
}

impl TableStore for Tables {
    fn words(&self, table: Table) -> &[Shared64] {
        self.map(table).words()
    }

    fn entries(&self, table: Table) -> u32 {
        self.sizes.get(table)
    }
}
