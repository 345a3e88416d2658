//! Which parts of the host's tables a card may hold.

use sluice_datapath::{
    abi::{
        Backend, BackendFlags, CARD_LENGTHS, CardServiceKey4, CardServiceKey6, CardSettings,
        CardTable, Features, NO_BACKEND, PREFILTER_WAYS4, PREFILTER_WAYS6, PrefilterControl,
        PrefilterLine4, PrefilterLine6, PrefilterWord, Service, ServiceFlags, Shared64, Slot,
        SlotRange, Table, VipFlags, VipLine,
    },
    native::{MemoryTables, generator::Numbers},
};
use std::collections::{BTreeMap, BTreeSet};

/// A service by the key of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    V4(CardServiceKey4),
    V6(CardServiceKey6),
}

impl Key {
    pub const fn family(self) -> u32 {
        match self {
            Self::V4(_) => CardSettings::IPV4,
            Self::V6(_) => CardSettings::IPV6,
        }
    }
}

/// What the card must know of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    pub service: u32,
    pub flags: ServiceFlags,
    /// Ids of backends.
    pub slots: Vec<u32>,
    pub backends: BTreeMap<u32, Backend>,
}

/// Family, length, network address as its words stand in packets, what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Prefix {
    pub family: u32,
    pub bits: u32,
    pub address: [u32; 4],
    pub deny: bool,
}

impl Prefix {
    fn network(&self) -> u128 {
        self.address.iter().fold(0, |all, word| all << 32 | u128::from(u32::from_be(*word)))
    }

    fn is_in(&self, other: &Self) -> bool {
        let outside = u128::MAX.checked_shl(128 - other.bits).unwrap_or(0);
        self.family == other.family
            && self.bits > other.bits
            && (self.network() ^ other.network()) & outside == 0
    }

    pub const fn word(&self) -> PrefilterWord {
        PrefilterWord::new(self.bits, self.deny)
    }
}

/// What a card shall hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    pub services: BTreeMap<Key, Candidate>,
    pub prefixes: BTreeSet<Prefix>,
    /// By family: the card holds all prefixes that the host asks.
    pub whole: [bool; 2],
    pub sample_mask: Option<u32>,
}

impl Wanted {
    /// A part of what the host's tables hold, no more of it than there is room for: about `share` of a hundred.
    pub fn choose(
        tables: &MemoryTables,
        room: &BTreeMap<CardTable, u32>,
        share: u64,
        numbers: &mut Numbers,
    ) -> Self {
        let settings = tables.settings;
        let mut wanted = Self {
            sample_mask: (settings.features.has(Features::EVENTS)
                && settings.flow_sample_shift < 32)
                .then(|| (1 << settings.flow_sample_shift) - 1),
            ..Self::default()
        };
        let all = prefixes(tables);
        for prefix in shuffled(all.iter().copied().collect(), numbers) {
            if numbers.below(100) < share {
                wanted.add_prefix(prefix, &all, room);
            }
        }
        for family in [CardSettings::IPV4, CardSettings::IPV6] {
            let of_family =
                |set: &BTreeSet<Prefix>| set.iter().filter(|p| p.family == family).count();
            wanted.whole[family as usize] = of_family(&all) == of_family(&wanted.prefixes);
        }
        for (key, candidate) in shuffled(candidates(tables).into_iter().collect(), numbers) {
            if numbers.below(100) < share && wanted.whole[key.family() as usize] {
                wanted.add_service(key, candidate, room);
            }
        }
        wanted
    }

    /// With a prefix that denies go all that allow inside it, or it stays away.
    fn add_prefix(
        &mut self,
        prefix: Prefix,
        all: &BTreeSet<Prefix>,
        room: &BTreeMap<CardTable, u32>,
    ) {
        let mut with = self.prefixes.clone();
        with.insert(prefix);
        if prefix.deny {
            with.extend(all.iter().filter(|other| !other.deny && other.is_in(&prefix)));
        }
        let fits = [
            (CardSettings::IPV4, CardTable::Prefixes4),
            (CardSettings::IPV6, CardTable::Prefixes6),
        ]
        .into_iter()
        .all(|(family, table)| {
            let of_family = || with.iter().filter(|prefix| prefix.family == family);
            let lengths: BTreeSet<u32> = of_family().map(|prefix| prefix.bits).collect();
            of_family().count() <= room_of(room, table) && lengths.len() <= CARD_LENGTHS
        });
        if fits {
            self.prefixes = with;
        }
    }

    fn add_service(&mut self, key: Key, candidate: Candidate, room: &BTreeMap<CardTable, u32>) {
        let mut with = self.services.clone();
        with.insert(key, candidate);
        let services = |family| with.keys().filter(|key| key.family() == family).count();
        let slots: usize = with.values().map(|service| service.slots.len()).sum();
        let backends: usize = with.values().map(|service| service.backends.len()).sum();
        if services(CardSettings::IPV4) <= room_of(room, CardTable::Services4)
            && services(CardSettings::IPV6) <= room_of(room, CardTable::Services6)
            && slots <= room_of(room, CardTable::Slots)
            && backends <= room_of(room, CardTable::Backends)
        {
            self.services = with;
        }
    }
}

fn room_of(room: &BTreeMap<CardTable, u32>, table: CardTable) -> usize {
    room.get(&table).copied().unwrap_or(0) as usize
}

fn shuffled<T>(mut list: Vec<T>, numbers: &mut Numbers) -> Vec<T> {
    for last in (1..list.len()).rev() {
        list.swap(last, numbers.below(last as u64 + 1) as usize);
    }
    list
}

/// All services that a card may hold.
pub fn candidates(tables: &MemoryTables) -> BTreeMap<Key, Candidate> {
    let mut found = BTreeMap::new();
    let features = tables.settings.features;
    if !features.has(Features::SERVICE) || !features.has(Features::DSR) {
        return found;
    }
    for (family, table) in [(CardSettings::IPV4, Table::Vip4), (CardSettings::IPV6, Table::Vip6)] {
        if family == CardSettings::IPV6 && !features.has(Features::IPV6) {
            continue;
        }
        for line in (0..).map_while(|index| tables.entry::<VipLine>(table, index)) {
            for port in line.ports.iter().filter(|port| port.key != 0) {
                let key = if family == CardSettings::IPV6 {
                    Key::V6(CardServiceKey6 { address: line.address, port: port.key })
                } else {
                    Key::V4(CardServiceKey4 { address: line.address[0], port: port.key })
                };
                if line.flags.has(VipFlags::USED)
                    && let Some(candidate) = candidate(tables, port.service)
                {
                    found.insert(key, candidate);
                }
            }
        }
    }
    found
}

fn candidate(tables: &MemoryTables, index: u32) -> Option<Candidate> {
    let service: &Service = tables.entry(Table::Services, index)?;
    let others = ServiceFlags::NAT | ServiceFlags::SOURCES | ServiceFlags::REFUSE;
    if !service.flags.has(ServiceFlags::USED) || service.flags.has(others) {
        return None;
    }
    let range = SlotRange::from_word(service.slots.get());
    let mut slots = Vec::new();
    let mut backends = BTreeMap::new();
    for at in range.base..=range.base + range.mask {
        let slot = Slot::from_word(tables.entry::<Shared64>(Table::Slots, at)?.get());
        let backend: Backend = *tables.entry(Table::Backends, slot.now)?;
        let ready = BackendFlags::USED | BackendFlags::RESOLVED;
        if slot.is_moving()
            || slot.now == NO_BACKEND
            || backend.flags.0 & ready != ready
            || backend.ifindex != tables.settings.ifindex
        {
            return None;
        }
        slots.push(slot.now);
        backends.insert(slot.now, backend);
    }
    // A program without affinity doesn't look at the flag.
    let affinity = tables.settings.features.has(Features::AFFINITY);
    let flags = ServiceFlags(if affinity { service.flags.0 } else { 0 } & ServiceFlags::AFFINITY);
    Some(Candidate { service: index, flags, slots, backends })
}

/// All prefixes that the host asks.
pub fn prefixes(tables: &MemoryTables) -> BTreeSet<Prefix> {
    let mut found = BTreeSet::new();
    let features = tables.settings.features;
    let control: &PrefilterControl = tables.entry(Table::PrefilterControl, 0).unwrap();
    let mut add = |family, address, word: PrefilterWord| {
        if word.0 != 0 {
            found.insert(Prefix { family, bits: word.bits(), address, deny: word.denies() });
        }
    };
    if features.has(Features::PREFILTER4) {
        let half = tables.settings.prefilter4_half;
        let first = (control.active4.get() & 1) * half;
        for at in first..first + half {
            let line: &PrefilterLine4 = tables.entry(Table::Prefilter4Lines, at).unwrap();
            for way in 0..PREFILTER_WAYS4 {
                let entry = line.entries[way];
                add(CardSettings::IPV4, [entry.address, 0, 0, 0], entry.word);
            }
        }
    }
    if features.has(Features::PREFILTER6) && features.has(Features::IPV6) {
        let half = tables.settings.prefilter6_half;
        let first = (control.active6.get() & 1) * half;
        for at in first..first + half {
            let line: &PrefilterLine6 = tables.entry(Table::Prefilter6Lines, at).unwrap();
            for way in 0..PREFILTER_WAYS6 {
                let entry = line.entries[way];
                add(CardSettings::IPV6, entry.address, entry.word);
            }
        }
    }
    found
}
