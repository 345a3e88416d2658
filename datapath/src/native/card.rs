use crate::{
    abi::{
        CardBackend, CardCounts, CardPrefix, CardPrefixKey4, CardPrefixKey6, CardService,
        CardServiceKey4, CardServiceKey6, CardSettings, CardSlot, CardTable, Count, PrefilterWord,
    },
    card::{CardOutcome, CardTables},
};
use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// One change of a card's tables. `None` removes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum CardWrite {
    Settings(u32, CardSettings),
    Prefix4(CardPrefixKey4, Option<PrefilterWord>),
    Prefix6(CardPrefixKey6, Option<PrefilterWord>),
    Service4(CardServiceKey4, Option<CardService>),
    Service6(CardServiceKey6, Option<CardService>),
    Slot(u32, CardSlot),
    Backend(u32, CardBackend),
}

/// The tables of a card in memory, with room for no more entries than a card's.
#[derive(Clone, Default)]
pub struct MemoryCard {
    sizes: BTreeMap<CardTable, u32>,
    settings: [CardSettings; CardSettings::COUNT as usize],
    prefixes4: HashMap<CardPrefixKey4, Cell<CardPrefix>>,
    prefixes6: HashMap<CardPrefixKey6, Cell<CardPrefix>>,
    services4: HashMap<CardServiceKey4, CardService>,
    services6: HashMap<CardServiceKey6, CardService>,
    slots: Vec<CardSlot>,
    backends: Vec<CardBackend>,
    sent: Vec<Cell<Count>>,
    counts: Cell<CardCounts>,
}

/// A table has no room for an entry, or no entry of that index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardFull(pub CardTable);

impl MemoryCard {
    /// Empty tables of these sizes; those not named have no room.
    pub fn new(sizes: impl IntoIterator<Item = (CardTable, u32)>) -> Self {
        let mut card = Self { sizes: sizes.into_iter().collect(), ..Self::default() };
        card.slots.resize(card.size(CardTable::Slots) as usize, CardSlot::EMPTY);
        card.backends.resize(card.size(CardTable::Backends) as usize, CardBackend::default());
        card.sent.resize(card.size(CardTable::Backends) as usize, Cell::default());
        card
    }

    /// How many entries a table has room for.
    pub fn size(&self, table: CardTable) -> u32 {
        self.sizes.get(&table).copied().or(table.fixed_entries()).unwrap_or(0)
    }

    /// Changes an entry. Counters begin at zero with the entry.
    ///
    /// # Errors
    /// [`CardFull`]: nothing has changed.
    pub fn write(&mut self, write: CardWrite) -> Result<(), CardFull> {
        let new = |word| Cell::new(CardPrefix { word, ..CardPrefix::default() });
        let size = |table| self.sizes.get(&table).copied().unwrap_or(0) as usize;
        match write {
            CardWrite::Settings(family, settings) => {
                put(&mut self.settings, family, settings, CardTable::Settings)
            }
            CardWrite::Prefix4(key, word) => {
                let (table, room) = (CardTable::Prefixes4, size(CardTable::Prefixes4));
                insert(&mut self.prefixes4, key, word.map(new), room, table)
            }
            CardWrite::Prefix6(key, word) => {
                let (table, room) = (CardTable::Prefixes6, size(CardTable::Prefixes6));
                insert(&mut self.prefixes6, key, word.map(new), room, table)
            }
            CardWrite::Service4(key, service) => {
                let (table, room) = (CardTable::Services4, size(CardTable::Services4));
                insert(&mut self.services4, key, service, room, table)
            }
            CardWrite::Service6(key, service) => {
                let (table, room) = (CardTable::Services6, size(CardTable::Services6));
                insert(&mut self.services6, key, service, room, table)
            }
            CardWrite::Slot(index, slot) => put(&mut self.slots, index, slot, CardTable::Slots),
            CardWrite::Backend(index, backend) => {
                put(&mut self.backends, index, backend, CardTable::Backends)
            }
        }
    }

    /// What became of all packets.
    pub fn counts(&self) -> CardCounts {
        self.counts.get()
    }

    /// What was sent to each backend, by the card's index.
    pub fn sent(&self) -> impl Iterator<Item = (CardBackend, Count)> {
        self.backends.iter().copied().zip(self.sent.iter().map(Cell::get))
    }

    /// Begins to count anew what is sent to a backend.
    pub fn forget_sent(&self, index: u32) {
        if let Some(sent) = self.sent.get(index as usize) {
            sent.set(Count::default());
        }
    }

    /// The prefixes of both families with what they decided.
    pub fn prefix_counts(&self) -> impl Iterator<Item = Count> {
        let four = self.prefixes4.values().map(|prefix| prefix.get().count);
        four.chain(self.prefixes6.values().map(|prefix| prefix.get().count))
    }
}

fn put<T>(entries: &mut [T], index: u32, value: T, table: CardTable) -> Result<(), CardFull> {
    *entries.get_mut(index as usize).ok_or(CardFull(table))? = value;
    Ok(())
}

fn insert<K: Hash + Eq, V>(
    entries: &mut HashMap<K, V>,
    key: K,
    value: Option<V>,
    room: usize,
    table: CardTable,
) -> Result<(), CardFull> {
    match value {
        None => {
            entries.remove(&key);
        }
        Some(_) if entries.len() >= room && !entries.contains_key(&key) => {
            return Err(CardFull(table));
        }
        Some(value) => {
            entries.insert(key, value);
        }
    }
    Ok(())
}

fn add(count: &mut Count, bytes: usize) {
    count.packets += 1;
    count.bytes += bytes as u64;
}

fn decide(prefix: &Cell<CardPrefix>, bytes: usize) -> PrefilterWord {
    let mut value = prefix.get();
    add(&mut value.count, bytes);
    prefix.set(value);
    value.word
}

impl CardTables for MemoryCard {
    fn settings(&self, family: u32) -> Option<&CardSettings> {
        self.settings.get(family as usize)
    }

    fn count(&self, outcome: CardOutcome, bytes: usize) {
        let mut counts = self.counts.get();
        match outcome {
            CardOutcome::Sent => add(&mut counts.sent, bytes),
            CardOutcome::Denied => add(&mut counts.denied, bytes),
            CardOutcome::Unfit => counts.unfit += 1,
            CardOutcome::Missed => counts.missed += 1,
            CardOutcome::Deferred => counts.deferred += 1,
        }
        self.counts.set(counts);
    }

    fn prefix4(&self, key: &CardPrefixKey4, bytes: usize) -> Option<PrefilterWord> {
        self.prefixes4.get(key).map(|prefix| decide(prefix, bytes))
    }

    fn prefix6(&self, key: &CardPrefixKey6, bytes: usize) -> Option<PrefilterWord> {
        self.prefixes6.get(key).map(|prefix| decide(prefix, bytes))
    }

    fn service4(&self, key: &CardServiceKey4) -> Option<&CardService> {
        self.services4.get(key)
    }

    fn service6(&self, key: &CardServiceKey6) -> Option<&CardService> {
        self.services6.get(key)
    }

    fn slot(&self, index: u32) -> Option<&CardSlot> {
        self.slots.get(index as usize)
    }

    fn backend(&self, index: u32) -> Option<&CardBackend> {
        self.backends.get(index as usize)
    }

    fn count_sent(&self, backend: u32, bytes: usize) {
        if let Some(sent) = self.sent.get(backend as usize) {
            let mut count = sent.get();
            add(&mut count, bytes);
            sent.set(count);
        }
    }
}
