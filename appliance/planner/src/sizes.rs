use std::collections::BTreeMap;

use sluice_datapath::abi::{Limit, PREFILTER4_BITMAP_WORDS, Reason, Table};

/// Bytes of the ring of events: 16,000 events.
const EVENTS_BYTES: u32 = 1 << 20;
/// Slots per CPU of the sketch of the prefixes that hit most.
pub(crate) const PREFILTER_HITS: u32 = 1024;
/// One table has less than 4 GiB.
const MAX_TABLE_BYTES: u64 = (1 << 32) - 1;

/// How many entries each table has (bytes for the ring). Tables never shrink while they are in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(BTreeMap<Table, u32>);

impl Sizes {
    /// What a gateway needs that has nothing to do.
    #[must_use]
    pub fn smallest() -> Self {
        let size = |table| match table {
            Table::Counts => Reason::COUNT as u32,
            Table::Limits => Limit::COUNT,
            Table::Events => EVENTS_BYTES,
            Table::Prefilter4Header | Table::Prefilter6Header => 2,
            Table::PrefilterHits => PREFILTER_HITS,
            Table::Vip4 | Table::Vip6 => crate::stages::service::vip::MIN_VIP_LINES as u32,
            _ => 1,
        };
        Self(Table::ALL.iter().map(|&table| (table, size(table))).collect())
    }

    /// Entries of a table.
    #[must_use]
    pub fn get(&self, table: Table) -> u32 {
        self.0.get(&table).copied().unwrap_or(0)
    }

    /// All tables with their entries.
    pub fn iter(&self) -> impl Iterator<Item = (Table, u32)> {
        self.0.iter().map(|(&table, &entries)| (table, entries))
    }

    /// Tables that are larger here than there.
    pub fn larger_than(&self, other: &Self) -> impl Iterator<Item = (Table, u32)> {
        self.iter().filter(|&(table, entries)| entries > other.get(table))
    }

    /// The largest possible number of entries of a table.
    #[must_use]
    pub fn limit(table: Table) -> u64 {
        MAX_TABLE_BYTES / table.value_size() as u64
    }

    /// Makes a table at least so large; a power of two where it must grow, so that growing is rare.
    pub(crate) fn need(&mut self, table: Table, entries: u32) {
        let size = self.0.entry(table).or_default();
        if *size < entries {
            let roomy = entries.checked_next_power_of_two().map_or(u64::MAX, u64::from);
            *size = if roomy <= Self::limit(table) { roomy as u32 } else { entries };
        }
    }

    /// As [`Self::need`], with a smallest size that makes growing rare for a small configuration.
    pub(crate) fn need_from(&mut self, table: Table, entries: u32, first_size: u32) {
        if entries > 0 {
            self.need(table, entries.max(first_size));
        }
    }

    /// Makes both halves of the tables of the IPv4 prefilter so large.
    pub(crate) fn need_prefilter4(&mut self, lines: u32) {
        self.need(Table::Prefilter4Lines, lines * 2);
        self.need(Table::Prefilter4Bitmap, PREFILTER4_BITMAP_WORDS * 2);
    }

    /// Makes both halves of the tables of the IPv6 prefilter so large.
    pub(crate) fn need_prefilter6(&mut self, lines: u32) {
        use sluice_datapath::abi::PREFILTER6_BITMAP_WORDS;
        self.need(Table::Prefilter6Lines, lines * 2);
        self.need(Table::Prefilter6Bitmap, PREFILTER6_BITMAP_WORDS * 2);
    }
}

impl FromIterator<(Table, u32)> for Sizes {
    fn from_iter<I: IntoIterator<Item = (Table, u32)>>(sizes: I) -> Self {
        Self(sizes.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grows_gets_room() {
        let mut sizes = Sizes::smallest();
        sizes.need(Table::Backends, 5);
        assert_eq!(sizes.get(Table::Backends), 8);
        sizes.need(Table::Backends, 3);
        assert_eq!(sizes.get(Table::Backends), 8);
        sizes.need_from(Table::Backends, 9, 256);
        assert_eq!(sizes.get(Table::Backends), 256);
    }

    #[test]
    fn a_table_ends_below_four_gibibytes() {
        let mut sizes = Sizes::smallest();
        let most = Sizes::limit(Table::Slots) as u32;
        sizes.need(Table::Slots, most);
        assert_eq!(sizes.get(Table::Slots), most);
        assert!(u64::from(most) * 8 < 1 << 32);
    }

    #[test]
    fn only_what_grew_is_larger() {
        let (small, mut large) = (Sizes::smallest(), Sizes::smallest());
        large.need(Table::Slots, 100);
        assert_eq!(large.larger_than(&small).collect::<Vec<_>>(), [(Table::Slots, 128)]);
        assert_eq!(small.larger_than(&large).count(), 0);
    }
}
