//! What becomes of the contents of a table when it grows.

use crate::{Error, Result, Sizes};
use sluice_datapath::abi::{Shared64, Table, TableKind, TableOwner};

/// How a larger table takes over the contents of the smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growth {
    /// Entries keep their index; new ones are zero.
    Extend,
    /// The datapath addresses the table by the low bits of a hash. Twice the size is one bit more: the contents
    /// stand in both halves, and each flow finds its own.
    Repeat,
    /// Counters start at zero, what was counted before is added when they are read.
    Sum,
    /// Starts empty: budgets and samples.
    Restart,
}

pub(crate) fn growth(table: Table) -> Growth {
    match (table.kind(), table) {
        (TableKind::Shared, Table::Remembered | Table::Fragments) => Growth::Repeat,
        (TableKind::Shared, _) => Growth::Extend,
        (TableKind::PerCpu, Table::PrefilterHits | Table::Limits) => Growth::Restart,
        (TableKind::PerCpu, _) => Growth::Sum,
        (TableKind::Ring, _) => Growth::Restart,
    }
}

/// The sizes that staging leads to; an error if a table cannot grow that way.
pub(crate) fn grown(current: &Sizes, wanted: &Sizes) -> Result<Sizes> {
    let sizes = current.union(wanted);
    sizes.check()?;
    for (table, entries) in sizes.iter() {
        let old = current.get(table);
        let powers = old.is_power_of_two() && entries.is_power_of_two();
        if entries != old && growth(table) == Growth::Repeat && !powers {
            let reason = "it is addressed by hash and grows in powers of two";
            return Err(Error::Size { table, entries, reason });
        }
    }
    Ok(sizes)
}

/// Whether the datapath's own words in a table must be carried over when the programs change.
pub(crate) fn is_kept(table: Table) -> bool {
    table.kind() == TableKind::Shared && table.owner() == TableOwner::Datapath
}

/// Copies the contents of the old table into the new.
pub(crate) fn carry_over(table: Table, old: &[Shared64], new: &[Shared64]) {
    match growth(table) {
        Growth::Extend => copy(old, new),
        Growth::Repeat => new.chunks(old.len().max(1)).for_each(|part| copy(old, part)),
        Growth::Sum | Growth::Restart => {}
    }
}

fn copy(from: &[Shared64], to: &[Shared64]) {
    for (from, to) in from.iter().zip(to) {
        to.refresh(from.get());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(values: &[u64]) -> Vec<Shared64> {
        values.iter().map(|&value| Shared64::new(value)).collect()
    }

    fn values(words: &[Shared64]) -> Vec<u64> {
        words.iter().map(Shared64::get).collect()
    }

    #[test]
    fn entries_keep_their_index() {
        let new = words(&[0; 4]);
        carry_over(Table::Slots, &words(&[7, 8]), &new);
        assert_eq!(values(&new), [7, 8, 0, 0]);
    }

    #[test]
    fn a_hashed_table_repeats_so_that_every_flow_is_found() {
        let new = words(&[0; 8]);
        carry_over(Table::Remembered, &words(&[7, 8]), &new);
        assert_eq!(values(&new), [7, 8, 7, 8, 7, 8, 7, 8]);
        let current = Sizes::smallest().with(Table::Remembered, 4);
        assert!(grown(&current, &current.with(Table::Remembered, 8)).is_ok());
        let error = grown(&current, &current.with(Table::Remembered, 6)).unwrap_err().to_string();
        assert!(error.contains("REMEMBERED") && error.contains("powers of two"), "{error}");
    }

    #[test]
    fn tables_never_shrink() {
        let current = Sizes::smallest().with(Table::Slots, 8);
        assert_eq!(grown(&current, &Sizes::smallest()).unwrap(), current);
    }

    #[test]
    fn all_the_datapath_writes_into_shared_tables_is_kept() {
        let kept: Vec<_> = Table::ALL.iter().filter(|table| is_kept(**table)).collect();
        use Table::{Fragments, Moves, NatRecords, NatTags, Remembered};
        assert_eq!(kept, [&Moves, &Remembered, &Fragments, &NatTags, &NatRecords]);
    }
}
