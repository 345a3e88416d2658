use sluice_datapath::abi::{Shared64, Table};

use crate::stages::{prefilter::PrefilterWords, service::slots::SlotWords};

/// Tables as they are in the kernel now, where plans depend on what the datapath writes there, or where they are too
/// large to keep a copy.
#[derive(Clone, Copy)]
pub struct TableWords<'a> {
    /// Slots and their clocks.
    pub slots: SlotWords<'a>,
    /// Prefixes.
    pub prefilter: PrefilterWords<'a>,
}

impl<'a> TableWords<'a> {
    /// Nothing is in the kernel yet.
    pub const NONE: Self = Self { slots: SlotWords::NONE, prefilter: PrefilterWords::NONE };

    /// What `words` says of each table.
    pub fn of(words: impl Fn(Table) -> &'a [Shared64]) -> Self {
        Self {
            slots: SlotWords { slots: words(Table::Slots), moves: words(Table::Moves) },
            prefilter: PrefilterWords {
                lines4: words(Table::Prefilter4Lines),
                bitmap4: words(Table::Prefilter4Bitmap),
                lines6: words(Table::Prefilter6Lines),
                bitmap6: words(Table::Prefilter6Bitmap),
            },
        }
    }
}
