use super::CardTableContents;
use sluice_datapath::abi::CardTable;
use std::fmt;

/// Where a program meets the packets of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardHook {
    /// XDP in hardware mode.
    Xdp,
    /// A `bpf` filter at the link's ingress that skips software (`tc ... bpf skip_sw`).
    Tc,
}

impl CardHook {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Xdp, Self::Tc];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tc => "tc",
        }
    }
}

impl fmt::Display for CardHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Which stages a card runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardProgram {
    /// The prefilter.
    Prefilter,
    /// Services that are delivered in tunnels.
    Service,
    /// The prefilter, and services behind it.
    Both,
}

impl CardProgram {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Prefilter, Self::Service, Self::Both];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Service => "service",
            Self::Both => "both",
        }
    }

    /// Whether it can run there: a filter cannot send a packet out again, so it has no services.
    pub const fn fits(self, hook: CardHook) -> bool {
        matches!((hook, self), (CardHook::Xdp, _) | (CardHook::Tc, Self::Prefilter))
    }

    /// The tables that it has.
    pub const fn tables(self) -> &'static [CardTable] {
        use CardTable::{
            Backends, Counts, Prefixes4, Prefixes6, Sent, Services4, Services6, Settings, Slots,
        };
        match self {
            Self::Prefilter => &[Settings, Prefixes4, Prefixes6, Counts],
            Self::Service => &[Settings, Services4, Services6, Slots, Backends, Sent, Counts],
            Self::Both => CardTable::ALL,
        }
    }
}

/// The tables whose entries are returned when a program goes: those that it counts in, and the backends, by whose index
/// it counts.
pub(crate) const COUNTING: &[CardTable] = {
    use CardTable::{Backends, Counts, Prefixes4, Prefixes6, Sent};
    &[Prefixes4, Prefixes6, Backends, Sent, Counts]
};

impl fmt::Display for CardProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

const TABLES: usize = CardTable::ALL.len();

/// How many entries each table on a card has room for. What the ABI fixes cannot be changed; no table has less than
/// one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CardSizes([u32; TABLES]);

impl CardSizes {
    /// One entry per table, and what the ABI fixes.
    pub fn smallest() -> Self {
        Self([1; TABLES])
    }

    /// Entries of a table.
    pub fn get(&self, table: CardTable) -> u32 {
        table.fixed_entries().unwrap_or(self.0[table as usize].max(1))
    }

    /// Changes one.
    #[must_use]
    pub fn with(mut self, table: CardTable, entries: u32) -> Self {
        self.0[table as usize] = entries;
        self
    }
}

impl Default for CardSizes {
    fn default() -> Self {
        Self::smallest()
    }
}

/// Tables that are not named keep their smallest size.
impl FromIterator<(CardTable, u32)> for CardSizes {
    fn from_iter<I: IntoIterator<Item = (CardTable, u32)>>(sizes: I) -> Self {
        sizes.into_iter().fold(Self::smallest(), |all, (table, entries)| all.with(table, entries))
    }
}

impl fmt::Debug for CardSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = CardTable::ALL.iter().map(|&table| (table.name(), self.get(table)));
        f.debug_map().entries(sizes).finish()
    }
}

/// What a card is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRequest {
    /// The card's link.
    pub ifindex: u32,
    /// Where.
    pub hook: CardHook,
    /// What.
    pub program: CardProgram,
    /// How large its tables are; tables that the program does not have count for nothing.
    pub sizes: CardSizes,
    /// What the tables hold when the program sees its first packet.
    pub contents: Vec<CardTableContents>,
}

impl CardRequest {
    /// A program with empty tables.
    pub fn new(ifindex: u32, hook: CardHook, program: CardProgram, sizes: CardSizes) -> Self {
        Self { ifindex, hook, program, sizes, contents: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_asked_for_unless_the_abi_fixes_them() {
        let sizes = CardSizes::from_iter([(CardTable::Slots, 8), (CardTable::Counts, 9)]);
        assert_eq!(sizes.get(CardTable::Slots), 8);
        assert_eq!(Some(sizes.get(CardTable::Counts)), CardTable::Counts.fixed_entries());
        assert_eq!(sizes.with(CardTable::Slots, 0).get(CardTable::Slots), 1);
    }

    #[test]
    fn the_program_of_both_has_the_tables_of_each() {
        for program in CardProgram::ALL {
            assert!(program.tables().iter().all(|t| CardProgram::Both.tables().contains(t)));
            assert!(program.tables().contains(&CardTable::Settings), "{program}");
        }
    }
}
