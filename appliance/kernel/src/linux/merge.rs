//! While programs change from one set of tables to the other, both are written. What the datapath wrote into the old
//! table is taken over where nobody wrote to the new one.

use crate::growth::{Growth, growth};
use sluice_datapath::abi::{Shared64, Table};

/// The parts of a table that belong together: they are taken over whole or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// Half a word: fields of 32 bits that stand for themselves.
    Half,
    Word,
    /// A record that describes one thing.
    Entry,
}

fn unit(table: Table) -> Unit {
    match table {
        Table::Moves | Table::NatTags => Unit::Half,
        Table::NatRecords => Unit::Entry,
        _ => Unit::Word,
    }
}

/// Follows the datapath's writes from an old table to a new one.
pub(super) struct Merge {
    table: Table,
    /// The old table when the new one was last equal to it.
    snapshot: Vec<u64>,
}

impl Merge {
    /// The new table was just filled from the old.
    pub(super) fn new(table: Table, old: &[Shared64]) -> Self {
        Self { table, snapshot: old.iter().map(Shared64::get).collect() }
    }

    /// Takes over what was written into `from` since, unless `to` was written there too; how many words.
    pub(super) fn run(&mut self, from: &[Shared64], to: &[Shared64]) -> u64 {
        let words = match unit(self.table) {
            Unit::Half | Unit::Word => 1,
            Unit::Entry => self.table.value_size() / 8,
        };
        let mut merged = 0;
        for at in (0..self.snapshot.len()).step_by(words) {
            let old = &self.snapshot[at..at + words];
            if from[at..at + words].iter().map(Shared64::get).eq(old.iter().copied()) {
                continue;
            }
            let fresh: Vec<u64> = from[at..at + words].iter().map(Shared64::get).collect();
            for copy in copies(self.table, at, self.snapshot.len(), to.len()) {
                merged += self.take(&fresh, at, &to[copy..copy + words]);
            }
            self.snapshot[at..at + words].copy_from_slice(&fresh);
        }
        merged
    }

    /// The way back, after a change that failed: what was written into the new table goes to the old.
    pub(super) fn undo(&mut self, old: &[Shared64], new: &[Shared64]) -> u64 {
        let length = self.snapshot.len();
        let mut merged = 0;
        for from in (0..new.len()).step_by(length.max(1)) {
            let part = &new[from..new.len().min(from + length)];
            let before = self.snapshot.clone();
            merged += self.run_part(part, old);
            self.snapshot = before;
            if growth(self.table) != Growth::Repeat {
                break;
            }
        }
        merged
    }

    fn run_part(&mut self, from: &[Shared64], to: &[Shared64]) -> u64 {
        if from.len() < self.snapshot.len() {
            return 0;
        }
        self.run(&from[..self.snapshot.len()], to)
    }

    /// Writes the words of one unit if nobody else did.
    fn take(&self, fresh: &[u64], at: usize, to: &[Shared64]) -> u64 {
        let old = &self.snapshot[at..at + fresh.len()];
        if unit(self.table) == Unit::Entry && !to.iter().map(Shared64::get).eq(old.iter().copied())
        {
            return 0;
        }
        let mut taken = 0;
        for ((to, &fresh), &old) in to.iter().zip(fresh).zip(old) {
            let now = to.get();
            let new = match unit(self.table) {
                Unit::Half => halves(old, fresh, now),
                Unit::Word | Unit::Entry if now == old => fresh,
                Unit::Word | Unit::Entry => now,
            };
            // If the datapath writes at this moment, its word is the newer one.
            if new != now && to.replace(now, new) {
                taken += 1;
            }
        }
        taken
    }
}

/// Where the word at an index of the old table stands in the new one.
fn copies(table: Table, at: usize, old: usize, new: usize) -> impl Iterator<Item = usize> {
    let repeats = if growth(table) == Growth::Repeat { new / old.max(1) } else { 1 };
    (0..repeats).map(move |copy| at + copy * old)
}

fn halves(old: u64, fresh: u64, now: u64) -> u64 {
    const LOW: u64 = u32::MAX as u64;
    [LOW, !LOW]
        .iter()
        .fold(0, |word, half| word | half & if now & half == old & half { fresh } else { now })
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
    fn words_written_to_the_old_table_are_taken_unless_the_new_one_was_written() {
        let (old, new) = (words(&[1, 2, 3]), words(&[1, 2, 3, 0]));
        let mut merge = Merge::new(Table::Remembered, &old);
        let (repeated, _) = (words(&[1, 2, 3, 1, 2, 3]), ());
        old[0].set(10);
        old[1].set(20);
        repeated[1].set(99);
        assert_eq!(merge.run(&old, &repeated), 3);
        assert_eq!(values(&repeated), [10, 99, 3, 10, 20, 3]);
        // A second run takes only what came later.
        old[2].set(30);
        assert_eq!(merge.run(&old, &repeated), 2);
        assert_eq!(values(&repeated), [10, 99, 30, 10, 20, 30]);
        drop(new);
    }

    #[test]
    fn halves_of_a_word_stand_for_themselves() {
        let (old, new) = (words(&[0]), words(&[0, 0]));
        let mut merge = Merge::new(Table::NatTags, &old);
        old[0].set(5);
        new[0].set(7 << 32);
        assert_eq!(merge.run(&old, &new), 1);
        assert_eq!(values(&new), [7 << 32 | 5, 0]);
    }

    #[test]
    fn a_translated_flow_is_taken_whole_or_not_at_all() {
        let zero = [0u64; 16];
        let (old, new) = (words(&zero), words(&[zero, zero].concat()));
        let mut merge = Merge::new(Table::NatRecords, &old);
        old[0].set(1);
        old[7].set(2);
        old[8].set(3);
        new[15].set(9);
        assert_eq!(merge.run(&old, &new), 2);
        assert_eq!((new[0].get(), new[7].get()), (1, 2));
        assert_eq!((new[8].get(), new[15].get()), (0, 9), "the other flow of this port stays");
    }

    #[test]
    fn an_undone_change_gives_back_what_the_new_table_got() {
        let (old, new) = (words(&[1, 2]), words(&[1, 2, 1, 2]));
        let mut merge = Merge::new(Table::Remembered, &old);
        new[0].set(10);
        new[3].set(20);
        assert_eq!(merge.undo(&old, &new), 2);
        assert_eq!(values(&old), [10, 20]);

        let (old, new) = (words(&[1]), words(&[1, 7]));
        let mut merge = Merge::new(Table::Moves, &old);
        new[0].set(3);
        assert_eq!(merge.undo(&old, &new), 1);
        assert_eq!(values(&old), [3]);
    }
}
