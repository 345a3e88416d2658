//! Counters: a value per CPU in the kernel, their sum here.

use super::{sys::Kernel, tables::Tables};
use crate::{Error, Object, Result, TableStore, view::value_of};
use sluice_datapath::abi::{Plain, Table};

/// Words that one call reads: a megabyte, so that many CPUs times many entries need no more memory.
const WORDS_PER_CALL: usize = 1 << 17;
/// Indices that lie as near together are read in one call together with what is between them.
const GAP: u32 = 32;

/// Reads per-CPU tables of a set.
pub(super) struct Counters<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) tables: &'a Tables,
    /// Possible CPUs.
    pub(super) cpus: usize,
}

impl Counters<'_> {
    /// The sums of these entries, in the order of `indices`.
    pub(super) fn sums<T: Plain>(&self, table: Table, indices: &[u32]) -> Result<Vec<T>> {
        let entries = self.tables.entries(table);
        if let Some(&index) = indices.iter().find(|index| **index >= entries) {
            return Err(Error::NoSuchEntry { table, index, entries });
        }
        let words = table.value_size() / 8;
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_unstable_by_key(|&at| indices[at]);
        let mut sums = vec![0u64; indices.len() * words];
        let mut at = 0;
        for run in order.chunk_by(|&a, &b| indices[b] - indices[a] <= GAP) {
            at += run.len();
            let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
            let (first, last) = (indices[first], indices[last]);
            let mut next = run.iter().peekable();
            self.read(table, first, last - first + 1, |index, values| {
                while let Some(&&position) = next.peek() {
                    if indices[position] != index {
                        break;
                    }
                    let sum = &mut sums[position * words..][..words];
                    self.sum(table, index, values, sum);
                    next.next();
                }
            })?;
        }
        debug_assert_eq!(at, indices.len());
        Ok(sums.chunks(words).map(|sum| value_of(sum.iter().copied())).collect())
    }

    /// The sums of all entries from zero on as words, entry by entry.
    pub(super) fn all_sums(&self, table: Table) -> Result<Vec<u64>> {
        let words = table.value_size() / 8;
        let entries = self.tables.entries(table);
        let mut sums = vec![0u64; entries as usize * words];
        self.read(table, 0, entries, |index, values| {
            self.sum(table, index, values, &mut sums[index as usize * words..][..words]);
        })?;
        Ok(sums)
    }

    /// The values of all CPUs of all entries.
    pub(super) fn values<T: Plain>(&self, table: Table) -> Result<Vec<T>> {
        let words = table.value_size() / 8;
        let mut all = Vec::new();
        self.read(table, 0, self.tables.entries(table), |_, values| {
            all.extend(values.chunks(words).map(|value| value_of(value.iter().copied())));
        })?;
        Ok(all)
    }

    /// Sets an entry to zero, on every CPU and in what was counted before the table grew.
    pub(super) fn reset(&self, table: Table, index: u32) -> Result<()> {
        let entries = self.tables.entries(table);
        if index >= entries {
            return Err(Error::NoSuchEntry { table, index, entries });
        }
        let words = table.value_size() / 8;
        if let Some(carried) = self.tables.carried(table) {
            let from = index as usize * words;
            carried.words().iter().skip(from).take(words).for_each(|word| word.set(0));
        }
        self.kernel
            .map_write_per_cpu(self.tables.map(table).fd(), index, &vec![0; words], self.cpus)
            .map_err(|errno| Error::kernel(Object::Table(table), "set an entry to zero", errno))
    }

    fn sum(&self, table: Table, index: u32, values: &[u64], sum: &mut [u64]) {
        let words = sum.len();
        for value in values.chunks(words) {
            for (sum, word) in sum.iter_mut().zip(value) {
                *sum = sum.wrapping_add(*word);
            }
        }
        if let Some(carried) = self.tables.carried(table) {
            let from = index as usize * words;
            for (sum, word) in sum.iter_mut().zip(carried.words().iter().skip(from)) {
                *sum = sum.wrapping_add(word.get());
            }
        }
    }

    /// Calls `each` with every entry of a range: its index, and the values of all CPUs one after the other.
    fn read(
        &self,
        table: Table,
        first: u32,
        entries: u32,
        mut each: impl FnMut(u32, &[u64]),
    ) -> Result<()> {
        let words_per_entry = table.value_size() / 8 * self.cpus;
        let per_call = (WORDS_PER_CALL / words_per_entry).clamp(1, entries.max(1) as usize) as u32;
        let mut buffer = vec![0u64; per_call as usize * words_per_entry];
        let map = self.tables.map(table).fd();
        let mut at = first;
        while at < first + entries {
            let wanted = per_call.min(first + entries - at);
            let failed = |errno| Error::kernel(Object::Table(table), "read the counters", errno);
            let read = self
                .kernel
                .map_read_per_cpu(map, at, wanted, &mut buffer, words_per_entry)
                .map_err(failed)?;
            if read == 0 {
                return Err(failed(crate::Errno::ENOENT));
            }
            for (index, values) in (at..at + read).zip(buffer.chunks(words_per_entry)) {
                each(index, values);
            }
            at += read;
        }
        Ok(())
    }
}
