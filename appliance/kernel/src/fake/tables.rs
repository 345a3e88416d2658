use crate::{Sizes, TableStore, growth::carry_over};
use sluice_datapath::abi::{Shared64, Table, TableKind};
use std::sync::Arc;

/// Tables on the heap.
#[derive(Debug)]
pub(super) struct Tables {
    sizes: Sizes,
    words: Vec<Arc<[Shared64]>>,
}

impl Tables {
    pub(super) fn new(sizes: Sizes) -> Self {
        Self { sizes, words: sizes.iter().map(|(table, entries)| empty(table, entries)).collect() }
    }

    /// Larger tables with the same contents; those that keep their size are shared with the old.
    pub(super) fn grown(&self, sizes: Sizes) -> Self {
        let words = sizes.iter().zip(&self.words).map(|((table, entries), old)| {
            if entries == self.sizes.get(table) {
                return old.clone();
            }
            let new = empty(table, entries);
            carry_over(table, old, &new);
            new
        });
        Self { sizes, words: words.collect() }
    }

    pub(super) fn sizes(&self) -> Sizes {
        self.sizes
    }
}

fn empty(table: Table, entries: u32) -> Arc<[Shared64]> {
    let words = match table.kind() {
        TableKind::Shared => entries as usize * table.value_size() / 8,
        TableKind::PerCpu | TableKind::Ring => 0,
    };
    (0..words).map(|_| Shared64::new(0)).collect()
}

impl TableStore for Tables {
    fn words(&self, table: Table) -> &[Shared64] {
        &self.words[table as usize]
    }

    fn entries(&self, table: Table) -> u32 {
        self.sizes.get(table)
    }
}
