//! The host alone, and the host behind a card: every packet goes both ways.

use super::{
    subset::{Wanted, candidates},
    writer::Writer,
};
use sluice_datapath::{
    Action, Outcome,
    abi::{BackendCount, CardBackend, CardTable, Count, Event, EventKind, Reason, Table},
    card::CardVerdict,
    native::{CardWrite, MemoryCard, MemoryTables, run_card, run_host, scenario},
    packet::MemoryPacket,
};
use std::collections::BTreeMap;

/// Something in the card's way of working that is not as it should be.
#[derive(Clone, Copy)]
pub struct Fault {
    /// What the card sees instead of the packet.
    pub seen: fn(&mut Vec<u8>),
    /// What it sends instead.
    pub sent: fn(&mut Vec<u8>),
    /// What it answers instead.
    pub answered: fn(CardVerdict, &mut Vec<u8>) -> CardVerdict,
}

impl Fault {
    /// Nothing is wrong.
    pub const NONE: Self = Self { seen: |_| {}, sent: |_| {}, answered: |verdict, _| verdict };
}

/// See the module.
pub struct Pair {
    pub alone: MemoryTables,
    pub behind: MemoryTables,
    pub card: MemoryCard,
    pub writer: Writer,
    pub fault: Option<Fault>,
    room: BTreeMap<CardTable, u32>,
    /// What the card sent to each backend before its index was given to another.
    sent: BTreeMap<u32, Count>,
    /// What earlier cards sent and dropped.
    earlier: [Count; 2],
    packets: [MemoryPacket; 2],
    taken: u64,
}

impl Pair {
    /// Two hosts with the tables that `tables` makes, and a card with this much room.
    pub fn new(tables: impl Fn() -> MemoryTables, room: BTreeMap<CardTable, u32>) -> Self {
        let size = |table| room.get(&table).copied().unwrap_or(0);
        Self {
            alone: tables(),
            behind: tables(),
            card: MemoryCard::new(room.clone()),
            writer: Writer::new(size(CardTable::Slots), size(CardTable::Backends)),
            fault: None,
            room,
            sent: BTreeMap::new(),
            earlier: [Count::default(); 2],
            packets: [MemoryPacket::new(&[]), MemoryPacket::new(&[])],
            taken: 0,
        }
    }

    /// Room for everything that the standard configuration has for a card.
    pub fn full_room() -> BTreeMap<CardTable, u32> {
        let tables = scenario::tables();
        let candidates = candidates(&tables);
        let slots: usize = candidates.values().map(|service| service.slots.len()).sum();
        let backends: usize = candidates.values().map(|service| service.backends.len()).sum();
        let count = |ipv6: bool| {
            let of = |prefix: &&scenario::Prefix| prefix.address.is_ipv6() == ipv6;
            scenario::PREFIXES.iter().filter(of).count() as u32
        };
        let services = |family| candidates.keys().filter(|key| key.family() == family).count();
        BTreeMap::from([
            (CardTable::Prefixes4, count(false)),
            (CardTable::Prefixes6, count(true)),
            (CardTable::Services4, services(0) as u32),
            (CardTable::Services6, services(1) as u32),
            (CardTable::Slots, slots as u32),
            (CardTable::Backends, backends as u32),
        ])
    }

    /// The same hosts behind another, empty card.
    pub fn exchange_card(&mut self, room: BTreeMap<CardTable, u32>) {
        for (backend, count) in self.card.sent() {
            add(self.sent.entry(backend.backend).or_default(), count);
        }
        let counts = self.card.counts();
        add(&mut self.earlier[0], counts.sent);
        add(&mut self.earlier[1], counts.denied);
        let size = |table| room.get(&table).copied().unwrap_or(0);
        self.writer = Writer::new(size(CardTable::Slots), size(CardTable::Backends));
        self.card = MemoryCard::new(room.clone());
        self.room = room;
    }

    /// How much room the card has.
    pub fn room(&self) -> &BTreeMap<CardTable, u32> {
        &self.room
    }

    /// How many packets the card finished.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Changes what the card holds and what the host does, and calls `probe` after every single step.
    pub fn change(
        &mut self,
        wanted: &Wanted,
        host: impl Fn(&mut MemoryTables),
        mut probe: impl FnMut(&mut Self),
    ) {
        for write in self.writer.withdraw(wanted) {
            self.write(write);
            probe(self);
        }
        host(&mut self.alone);
        host(&mut self.behind);
        probe(self);
        for write in self.writer.add(wanted) {
            self.write(write);
            probe(self);
        }
    }

    /// One write to the card.
    pub fn write(&mut self, write: CardWrite) {
        if let CardWrite::Backend(index, _) = write {
            let old: Option<(CardBackend, Count)> = self.card.sent().nth(index as usize);
            if let Some((backend, count)) = old {
                add(self.sent.entry(backend.backend).or_default(), count);
            }
            self.card.forget_sent(index);
        }
        self.card.write(write).expect("the subset fits");
    }

    /// Sends a packet both ways: what became of it, or how one can tell that there is a card.
    pub fn packet(&mut self, frame: &[u8]) -> Result<Outcome, String> {
        self.packets[0].reset(frame);
        let outcome = run_host(&mut self.packets[0], &self.alone);
        let expected = (outcome.action(scenario::LINK), self.packets[0].bytes().to_vec());
        let (verdict, bytes) = self.on_card(frame);
        let found = match verdict {
            CardVerdict::Pass => {
                if bytes != frame {
                    return Err(format!("changed and passed: {} {}", hex(frame), hex(&bytes)));
                }
                self.packets[1].reset(&bytes);
                let behind = run_host(&mut self.packets[1], &self.behind);
                (behind.action(scenario::LINK), self.packets[1].bytes().to_vec())
            }
            CardVerdict::Drop => (Action::Drop, bytes),
            CardVerdict::Transmit => (Action::Transmit, bytes),
        };
        self.taken += u64::from(verdict != CardVerdict::Pass);
        if found != expected {
            return Err(format!(
                "host alone {outcome:?}, card {verdict:?}, then {:?}\n  in     {}\n  alone  {}\n  behind {}",
                found.0,
                hex(frame),
                hex(&expected.1),
                hex(&found.1)
            ));
        }
        let events = [&self.alone, &self.behind].map(|tables| {
            let began = |event: &Event| event.kind == EventKind::Flow as u32;
            tables.events.borrow_mut().drain(..).filter(began).count()
        });
        if events[0] != events[1] {
            return Err(format!("{} flows told alone, {} behind the card", events[0], events[1]));
        }
        Ok(outcome)
    }

    /// The packet after [`Pair::packet`].
    pub fn sent(&self) -> &[u8] {
        self.packets[0].bytes()
    }

    fn on_card(&mut self, frame: &[u8]) -> (CardVerdict, Vec<u8>) {
        let Some(fault) = self.fault else {
            self.packets[1].reset(frame);
            let verdict = run_card(&mut self.packets[1], &self.card);
            return (verdict, self.packets[1].bytes().to_vec());
        };
        let mut seen = frame.to_vec();
        (fault.seen)(&mut seen);
        self.packets[1].reset(&seen);
        let verdict = run_card(&mut self.packets[1], &self.card);
        let mut bytes = match verdict {
            CardVerdict::Pass => frame.to_vec(),
            _ => self.packets[1].bytes().to_vec(),
        };
        if verdict == CardVerdict::Transmit {
            (fault.sent)(&mut bytes);
        }
        ((fault.answered)(verdict, &mut bytes), bytes)
    }

    /// Whether card and host together counted what the host alone counted.
    pub fn same_counts(&self) -> Result<(), String> {
        let mut card = self.card.counts();
        add(&mut card.sent, self.earlier[0]);
        add(&mut card.denied, self.earlier[1]);
        for reason in Reason::ALL {
            let mut behind = self.behind.count(*reason);
            match reason {
                Reason::SentEncapsulated => add(&mut behind, card.sent),
                Reason::DropDenied => add(&mut behind, card.denied),
                _ => {}
            }
            let alone = self.alone.count(*reason);
            if alone != behind {
                return Err(format!("{reason:?}: {alone:?} alone, {behind:?} with the card"));
            }
        }
        let mut sent = self.sent.clone();
        for (backend, count) in self.card.sent() {
            add(sent.entry(backend.backend).or_default(), count);
        }
        let forwarded = |tables: &MemoryTables, id| {
            tables.with(Table::BackendCounts, id, |count: &mut BackendCount| count.forward).unwrap()
        };
        for id in 0..128 {
            let alone = forwarded(&self.alone, id);
            let mut behind = forwarded(&self.behind, id);
            add(&mut behind, sent.get(&id).copied().unwrap_or_default());
            if alone != behind {
                return Err(format!("backend {id}: {alone:?} alone, {behind:?} with the card"));
            }
        }
        let seen = card.sent.packets + card.denied.packets;
        if seen != self.taken {
            return Err(format!("the card finished {} packets and counted {seen}", self.taken));
        }
        Ok(())
    }
}

fn add(to: &mut Count, more: Count) {
    to.packets += more.packets;
    to.bytes += more.bytes;
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
