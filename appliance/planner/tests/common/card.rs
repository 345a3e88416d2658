//! A card in memory: plans are written into its tables entry by entry, packets go through the card's native pipeline.

use std::collections::BTreeMap;

use sluice_datapath::{
    abi::{
        CardBackend, CardPrefixKey4, CardPrefixKey6, CardService, CardServiceKey4, CardServiceKey6,
        CardSettings, CardSlot, PrefilterWord,
    },
    card::{CardOutcome, CardTables, CardVerdict},
    packet::MemoryPacket,
};
use sluice_planner::card::{CardContents, CardEntry, CardStages, CardStep};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Card {
    pub(crate) stages: Option<CardStages>,
    settings: [CardSettings; 2],
    prefixes4: BTreeMap<CardPrefixKey4, PrefilterWord>,
    prefixes6: BTreeMap<CardPrefixKey6, PrefilterWord>,
    services4: BTreeMap<CardServiceKey4, CardService>,
    services6: BTreeMap<CardServiceKey6, CardService>,
    slots: BTreeMap<u32, CardSlot>,
    backends: BTreeMap<u32, CardBackend>,
}

impl Card {
    /// A new program with everything it holds.
    pub(crate) fn place(contents: &CardContents) -> Self {
        let stages = contents.program.map(|program| program.stages);
        let mut card = Self { stages, ..Self::default() };
        for entry in contents.entries() {
            card.put(entry);
        }
        card
    }

    pub(crate) fn step(&mut self, step: &CardStep) {
        match *step {
            CardStep::Put { entry, .. } => self.put(entry),
            CardStep::Remove { entry } => self.remove(entry),
        }
    }

    fn put(&mut self, entry: CardEntry) {
        let has_table =
            self.stages.is_some_and(|stages| stages.tables().any(|t| t == entry.table()));
        assert!(has_table, "{entry} has no table in the program for {:?}", self.stages);
        match entry {
            CardEntry::Settings(family, settings) => self.settings[family as usize] = settings,
            CardEntry::Prefix4(key, word) => drop(self.prefixes4.insert(key, word)),
            CardEntry::Prefix6(key, word) => drop(self.prefixes6.insert(key, word)),
            CardEntry::Service4(key, service) => drop(self.services4.insert(key, service)),
            CardEntry::Service6(key, service) => drop(self.services6.insert(key, service)),
            CardEntry::Slot(index, slot) => drop(self.slots.insert(index, slot)),
            CardEntry::Backend(index, backend) => drop(self.backends.insert(index, backend)),
            CardEntry::Sent(_) => {}
        }
    }

    fn remove(&mut self, entry: CardEntry) {
        let was_there = match entry {
            CardEntry::Prefix4(key, _) => self.prefixes4.remove(&key).is_some(),
            CardEntry::Prefix6(key, _) => self.prefixes6.remove(&key).is_some(),
            CardEntry::Service4(key, _) => self.services4.remove(&key).is_some(),
            CardEntry::Service6(key, _) => self.services6.remove(&key).is_some(),
            entry => panic!("{entry} cannot be removed"),
        };
        assert!(was_there, "{entry} is removed, but is not there");
    }

    /// What the card does with a packet.
    pub(crate) fn run(&self, packet: &mut MemoryPacket) -> CardVerdict {
        match self.stages {
            None => CardVerdict::Pass,
            Some(_) => sluice_datapath::card::run(packet, self),
        }
    }

    /// What packets can meet: without entries of arrays that nothing refers to.
    pub(crate) fn visible(&self) -> Self {
        let mut visible = self.clone();
        let services = self.services4.values().chain(self.services6.values());
        let ranges: Vec<_> = services.map(|s| s.base..=s.base + s.mask).collect();
        visible.slots.retain(|index, _| ranges.iter().any(|range| range.contains(index)));
        let used: Vec<_> = visible.slots.values().filter_map(|slot| slot.backend()).collect();
        visible.backends.retain(|index, _| used.contains(index));
        visible
    }
}

impl CardTables for Card {
    fn settings(&self, family: u32) -> Option<&CardSettings> {
        self.settings.get(family as usize)
    }

    fn prefix4(&self, key: &CardPrefixKey4, _: usize) -> Option<PrefilterWord> {
        self.prefixes4.get(key).copied()
    }

    fn prefix6(&self, key: &CardPrefixKey6, _: usize) -> Option<PrefilterWord> {
        self.prefixes6.get(key).copied()
    }

    fn service4(&self, key: &CardServiceKey4) -> Option<&CardService> {
        self.services4.get(key)
    }

    fn service6(&self, key: &CardServiceKey6) -> Option<&CardService> {
        self.services6.get(key)
    }

    fn slot(&self, index: u32) -> Option<&CardSlot> {
        self.slots.get(&index)
    }

    fn backend(&self, index: u32) -> Option<&CardBackend> {
        self.backends.get(&index)
    }

    fn count_sent(&self, _: u32, _: usize) {}

    fn count(&self, _: CardOutcome, _: usize) {}
}
