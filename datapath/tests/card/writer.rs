//! In which order a card is told of a change, so that what it holds is true at every moment.

use super::subset::{Candidate, Key, Prefix, Wanted};
use sluice_datapath::{
    abi::{
        BackendFlags, CARD_ABI_VERSION, CardBackend, CardFlags, CardLength, CardPrefixKey4,
        CardPrefixKey6, CardService, CardSettings, CardSlot,
    },
    native::CardWrite,
};
use std::collections::BTreeMap;

/// Where a service stands on the card.
#[derive(Clone, Debug, PartialEq)]
struct Placed {
    candidate: Candidate,
    base: u32,
    /// The card's indices of the backends by their ids.
    backends: BTreeMap<u32, u32>,
}

/// What the card holds.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    settings: [CardSettings; 2],
    services: BTreeMap<Key, Placed>,
    prefixes: std::collections::BTreeSet<Prefix>,
    slots: Vec<bool>,
    backends: Vec<bool>,
}

impl Writer {
    /// For a card with room for this many slots and backends.
    pub fn new(slots: u32, backends: u32) -> Self {
        Self {
            slots: vec![false; slots as usize],
            backends: vec![false; backends as usize],
            ..Self::default()
        }
    }

    /// The index of a backend on the card and the slot that names it, of a service that is there.
    pub fn place_of(&self, key: Key) -> Option<(u32, CardService, BTreeMap<u32, u32>)> {
        let placed = self.services.get(&key)?;
        Some((placed.base, service_entry(placed), placed.backends.clone()))
    }

    /// The settings of a family.
    pub fn settings(&self, family: u32) -> CardSettings {
        self.settings[family as usize]
    }

    /// Before the host changes: what will not be true any more goes.
    pub fn withdraw(&mut self, wanted: &Wanted) -> Vec<CardWrite> {
        let mut writes = Vec::new();
        for family in [CardSettings::IPV4, CardSettings::IPV6] {
            let mut settings = self.settings[family as usize];
            let changes = self.of_family(family) != of_family(wanted, family);
            if changes || !wanted.whole[family as usize] {
                settings.flags.0 &= !CardFlags::SERVICE;
            }
            if settings.lengths != lengths(wanted, family) {
                settings.flags.0 &= !(CardFlags::SERVICE | CardFlags::PREFILTER);
            }
            self.set(family, settings, &mut writes);
        }
        let gone: Vec<Key> = self
            .services
            .iter()
            .filter(|(key, placed)| wanted.services.get(key) != Some(&placed.candidate))
            .map(|(key, _)| *key)
            .collect();
        for key in gone {
            self.remove(key, &mut writes);
        }
        for deny in [true, false] {
            for prefix in self.prefixes.difference(&wanted.prefixes).filter(|p| p.deny == deny) {
                writes.push(prefix_write(prefix, false));
            }
        }
        self.prefixes.retain(|prefix| wanted.prefixes.contains(prefix));
        writes
    }

    /// After the host has changed: what is true now comes.
    pub fn add(&mut self, wanted: &Wanted) -> Vec<CardWrite> {
        let mut writes = Vec::new();
        for family in [CardSettings::IPV4, CardSettings::IPV6] {
            let mut settings = self.settings[family as usize];
            settings.version = CARD_ABI_VERSION;
            settings.lengths = lengths(wanted, family);
            settings.sample_mask = wanted.sample_mask.unwrap_or(0);
            settings.flags.0 &= !CardFlags::SAMPLE;
            if wanted.sample_mask.is_some() {
                settings.flags.0 |= CardFlags::SAMPLE;
            }
            self.set(family, settings, &mut writes);
        }
        for deny in [false, true] {
            for prefix in wanted.prefixes.difference(&self.prefixes).filter(|p| p.deny == deny) {
                writes.push(prefix_write(prefix, true));
            }
        }
        self.prefixes.clone_from(&wanted.prefixes);
        // The prefilter decides before the services are asked.
        for stage in [CardFlags::PREFILTER, CardFlags::SERVICE] {
            for family in [CardSettings::IPV4, CardSettings::IPV6] {
                let mut settings = self.settings[family as usize];
                let on = if stage == CardFlags::PREFILTER {
                    !of_family(wanted, family).is_empty()
                } else {
                    wanted.whole[family as usize]
                };
                settings.flags.0 = settings.flags.0 & !stage | if on { stage } else { 0 };
                self.set(family, settings, &mut writes);
            }
        }
        for (key, candidate) in &wanted.services {
            if !self.services.contains_key(key) {
                self.place(*key, candidate, &mut writes);
            }
        }
        writes
    }

    fn set(&mut self, family: u32, settings: CardSettings, writes: &mut Vec<CardWrite>) {
        if self.settings[family as usize] != settings {
            self.settings[family as usize] = settings;
            writes.push(CardWrite::Settings(family, settings));
        }
    }

    fn of_family(&self, family: u32) -> Vec<Prefix> {
        self.prefixes.iter().copied().filter(|prefix| prefix.family == family).collect()
    }

    fn remove(&mut self, key: Key, writes: &mut Vec<CardWrite>) {
        let Some(placed) = self.services.remove(&key) else { return };
        writes.push(service_write(key, None));
        for at in 0..placed.candidate.slots.len() {
            self.slots[placed.base as usize + at] = false;
        }
        for &index in placed.backends.values() {
            self.backends[index as usize] = false;
        }
    }

    /// What is free keeps what stood there last: nobody looks at it.
    fn place(&mut self, key: Key, candidate: &Candidate, writes: &mut Vec<CardWrite>) {
        let count = candidate.slots.len();
        let Some(base) = (0..=self.slots.len().saturating_sub(count))
            .find(|&base| self.slots.get(base..base + count).is_some_and(|s| !s.contains(&true)))
        else {
            // Enough is free, but not in one piece: the service stays with the host.
            return;
        };
        let mut backends = BTreeMap::new();
        for (&id, backend) in &candidate.backends {
            let index = self.backends.iter().position(|used| !used).unwrap();
            self.backends[index] = true;
            backends.insert(id, index as u32);
            let mut entry = CardBackend::copy_of(id, backend);
            entry.flags.0 &= BackendFlags::USED | BackendFlags::IPV6;
            writes.push(CardWrite::Backend(index as u32, entry));
        }
        for (at, id) in candidate.slots.iter().enumerate() {
            self.slots[base + at] = true;
            writes.push(CardWrite::Slot((base + at) as u32, CardSlot::new(backends[id])));
        }
        let placed = Placed { candidate: candidate.clone(), base: base as u32, backends };
        writes.push(service_write(key, Some(service_entry(&placed))));
        self.services.insert(key, placed);
    }
}

fn service_entry(placed: &Placed) -> CardService {
    CardService {
        base: placed.base,
        mask: placed.candidate.slots.len() as u32 - 1,
        flags: placed.candidate.flags,
        service: placed.candidate.service,
    }
}

pub fn service_write(key: Key, service: Option<CardService>) -> CardWrite {
    match key {
        Key::V4(key) => CardWrite::Service4(key, service),
        Key::V6(key) => CardWrite::Service6(key, service),
    }
}

pub fn prefix_write(prefix: &Prefix, there: bool) -> CardWrite {
    let (bits, word) = (prefix.bits, there.then(|| prefix.word()));
    if prefix.family == CardSettings::IPV6 {
        CardWrite::Prefix6(CardPrefixKey6 { bits, address: prefix.address }, word)
    } else {
        CardWrite::Prefix4(CardPrefixKey4 { bits, address: prefix.address[0] }, word)
    }
}

fn of_family(wanted: &Wanted, family: u32) -> Vec<Prefix> {
    wanted.prefixes.iter().copied().filter(|prefix| prefix.family == family).collect()
}

fn lengths(wanted: &Wanted, family: u32) -> [CardLength; sluice_datapath::abi::CARD_LENGTHS] {
    let mut bits: Vec<u32> = of_family(wanted, family).iter().map(|prefix| prefix.bits).collect();
    bits.sort_unstable_by(|a, b| b.cmp(a));
    bits.dedup();
    std::array::from_fn(|at| bits.get(at).map_or(CardLength::UNUSED, |bits| CardLength::new(*bits)))
}
