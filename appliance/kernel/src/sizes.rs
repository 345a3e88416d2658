use crate::{Error, Result};
use sluice_datapath::abi::{Limit, Reason, Table, TableKind};
use std::fmt;

const TABLES: usize = Table::ALL.len();

/// How many entries each table has (bytes for the ring).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sizes([u32; TABLES]);

impl Sizes {
    /// The smallest set: one entry per table, and what the ABI fixes.
    pub fn smallest() -> Self {
        let mut sizes = Self([1; TABLES]);
        sizes.set(Table::Counts, Reason::COUNT as u32);
        sizes.set(Table::Limits, Limit::COUNT);
        sizes.set(Table::Events, 4096);
        sizes.set(Table::Prefilter4Header, 2);
        sizes.set(Table::Prefilter6Header, 2);
        sizes
    }

    /// Entries of a table.
    pub fn get(&self, table: Table) -> u32 {
        self.0[table as usize]
    }

    /// Changes one.
    pub fn set(&mut self, table: Table, entries: u32) {
        self.0[table as usize] = entries;
    }

    /// Changes one.
    #[must_use]
    pub fn with(mut self, table: Table, entries: u32) -> Self {
        self.set(table, entries);
        self
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Table, u32)> {
        Table::ALL.iter().map(|&table| (table, self.get(table)))
    }

    /// Whether every table is at least as large as in `wanted`.
    pub fn cover(&self, wanted: &Self) -> bool {
        wanted.iter().all(|(table, entries)| self.get(table) >= entries)
    }

    /// The larger of both, table by table.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].max(other.0[i])))
    }

    /// Bytes of kernel memory that the tables of these sizes take on this many CPUs.
    pub fn bytes(&self, cpus: u64) -> u64 {
        self.iter()
            .map(|(table, entries)| match table.kind() {
                TableKind::Shared => u64::from(entries) * table.value_size() as u64,
                TableKind::PerCpu => u64::from(entries) * table.value_size() as u64 * cpus,
                TableKind::Ring => u64::from(entries),
            })
            .sum()
    }

    /// Whether tables of these sizes can be made.
    ///
    /// # Errors
    /// [`Error::Size`] names the first table that cannot.
    pub fn check(&self) -> Result<()> {
        for (table, entries) in self.iter() {
            let wrong = |reason| Err(Error::Size { table, entries, reason });
            if entries == 0 {
                return wrong("a table has at least one entry");
            }
            if table.kind() == TableKind::Ring && (!entries.is_power_of_two() || entries < 4096) {
                return wrong("a ring is a power of two of bytes, at least 4096");
            }
            // The kernel keeps the bytes of an array in 32 bits here and there; stay below.
            let bytes = u64::from(entries) * table.value_size() as u64;
            if table.kind() == TableKind::Shared && bytes > u64::from(u32::MAX) {
                return wrong("a table has less than 4 GiB");
            }
        }
        Ok(())
    }
}

impl Default for Sizes {
    fn default() -> Self {
        Self::smallest()
    }
}

/// Tables that are not named keep their smallest size.
impl FromIterator<(Table, u32)> for Sizes {
    fn from_iter<I: IntoIterator<Item = (Table, u32)>>(sizes: I) -> Self {
        sizes.into_iter().fold(Self::smallest(), |all, (table, entries)| all.with(table, entries))
    }
}

impl fmt::Debug for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(table, entries)| (table.name(), entries))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_union_covers_both() {
        let a = Sizes::smallest().with(Table::Slots, 8);
        let b = Sizes::smallest().with(Table::Backends, 3);
        assert!(!a.cover(&b) && !b.cover(&a));
        assert!(a.union(&b).cover(&a) && a.union(&b).cover(&b));
        assert_eq!(a.union(&b).get(Table::Slots), 8);
    }

    #[test]
    fn impossible_sizes_name_their_table() {
        let zero = Sizes::smallest().with(Table::Slots, 0).check().unwrap_err().to_string();
        assert!(zero.contains("SLOTS") && zero.contains("at least one"), "{zero}");
        let ring = Sizes::smallest().with(Table::Events, 5000).check().unwrap_err().to_string();
        assert!(ring.contains("EVENTS") && ring.contains("power of two"), "{ring}");
        Sizes::smallest().check().unwrap();
    }
}
