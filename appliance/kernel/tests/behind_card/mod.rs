//! The programs of host and card in the kernel: every packet goes through the host's alone, and through the card's and,
//! where that passes it, then through the host's.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

use crate::card::{subset::Wanted, writer::Writer};
use libbpf_rs::{MapCore, MapFlags, MapHandle, Object, ObjectBuilder, ProgramInput};
use nix::unistd::geteuid;
use sluice_datapath::{
    abi::{
        BackendCount, CardCounts, CardPrefix, CardTable, Count, PrefilterWord, Reason, Settings,
        Table, TableKind,
    },
    card::CardVerdict,
    native::{CardWrite, MemoryCard, MemoryTables, run_card, scenario},
    packet::MemoryPacket,
};
use sluice_kernel::{CardEntry, Sizes, card_tables, linux::TestProgram};
use std::{collections::BTreeMap, path::Path};

/// How a program on a card is called, and how it says what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    Xdp,
    Tc,
}

/// Two hosts and a card in the kernel, and the card once more on memory.
pub struct BehindCard {
    alone: TestProgram,
    behind: TestProgram,
    object: Object,
    maps: BTreeMap<CardTable, MapHandle>,
    hook: Hook,
    out: Vec<u8>,
    /// What is wanted is chosen from these tables.
    pub model: MemoryTables,
    pub native: MemoryCard,
    pub writer: Writer,
    packet: MemoryPacket,
    taken: u64,
    /// What the card sent to each backend before its index was given to another.
    sent: BTreeMap<u32, Count>,
    /// What earlier cards sent and dropped.
    earlier: [Count; 2],
}

impl BehindCard {
    /// Loads everything, the card's program from this object; says why and gives none where that can't be done.
    pub fn load(
        settings: &Settings,
        object: &str,
        hook: Hook,
        room: &BTreeMap<CardTable, u32>,
    ) -> Option<Self> {
        if !geteuid().is_root() {
            println!("skipped: loading eBPF programs needs root");
            return None;
        }
        let sizes: Sizes = scenario::sizes().into_iter().collect();
        let host = || TestProgram::load(&sizes, settings).unwrap_or_else(|error| panic!("{error}"));
        let (object, maps) = load_card(object, room);
        let mut model = scenario::tables();
        model.settings = *settings;
        let size = |table| room.get(&table).copied().unwrap_or(0);
        let pair = Self {
            alone: host(),
            behind: host(),
            object,
            maps,
            hook,
            out: vec![0; 1 << 16],
            native: MemoryCard::new(room.clone()),
            writer: Writer::new(size(CardTable::Slots), size(CardTable::Backends)),
            model,
            packet: MemoryPacket::new(&[]),
            taken: 0,
            sent: BTreeMap::new(),
            earlier: [Count::default(); 2],
        };
        pair.copy_to_hosts(|table| table.kind() == TableKind::Shared);
        Some(pair)
    }

    /// The same hosts behind another, empty card: loading the hosts' programs takes longest.
    pub fn exchange_card(&mut self, object: &str, hook: Hook, room: &BTreeMap<CardTable, u32>) {
        for (backend, count) in self.native.sent() {
            add(self.sent.entry(backend.backend).or_default(), count);
        }
        let counts = self.native.counts();
        add(&mut self.earlier[0], counts.sent);
        add(&mut self.earlier[1], counts.denied);
        (self.object, self.maps) = load_card(object, room);
        self.hook = hook;
        self.native = MemoryCard::new(room.clone());
        let size = |table| room.get(&table).copied().unwrap_or(0);
        self.writer = Writer::new(size(CardTable::Slots), size(CardTable::Backends));
    }

    /// How many packets the cards finished.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Changes what the card holds and, in the middle, the hosts, whose tables shall be the model's; calls `probe` after
    /// every single step.
    pub fn change(&mut self, wanted: &Wanted, mut probe: impl FnMut(&mut Self)) {
        for write in self.writer.withdraw(wanted) {
            self.write(write);
            probe(self);
        }
        self.copy_to_hosts(|table| matches!(table, Table::Slots | Table::Backends));
        probe(self);
        for write in self.writer.add(wanted) {
            self.write(write);
            probe(self);
        }
    }

    /// Sends a packet both ways; how one can tell that there is a card.
    pub fn packet(&mut self, frame: &[u8]) -> Result<(), String> {
        if self.hook == Hook::Tc && is_cut_short(frame) {
            return Ok(());
        }
        let (expected, sent) = self.alone.run(frame, 0).map_err(|error| error.to_string())?;
        self.packet.reset(frame);
        let verdict = run_card(&mut self.packet, &self.native);
        let input = ProgramInput {
            data_in: Some(frame),
            data_out: Some(&mut self.out),
            ..ProgramInput::default()
        };
        let program = self.object.progs_mut().next().expect("the object has a program");
        let output = program.test_run(input).map_err(|error| format!("on the card: {error}"))?;
        let bytes = output.data.map_or(&[][..], |data| &*data);
        if output.return_value != said(self.hook, verdict) || bytes != self.packet.bytes() {
            return Err(format!(
                "the card's program said {}, on memory {verdict:?}\n  in     {}\n  kernel {}\n  memory {}",
                output.return_value as i32,
                hex(frame),
                hex(bytes),
                hex(self.packet.bytes())
            ));
        }
        let found = match verdict {
            CardVerdict::Pass => {
                let found = self.behind.run(frame, 0).map_err(|error| error.to_string())?;
                (found.0, found.1)
            }
            other => (other as u32, bytes),
        };
        self.taken += u64::from(verdict != CardVerdict::Pass);
        if found != (expected, sent) {
            return Err(format!(
                "alone {expected}, card {verdict:?}, then {}\n  in     {}\n  alone  {}\n  behind {}",
                found.0,
                hex(frame),
                hex(sent),
                hex(found.1)
            ));
        }
        Ok(())
    }

    /// Whether card and host together counted what the host alone counted, and the card what it counts on memory.
    pub fn same_counts(&self) -> Result<(), String> {
        let card = self.counts();
        if card != self.native.counts() {
            return Err(format!("the card counted {card:?}, on memory {:?}", self.native.counts()));
        }
        let (alone, mut behind) = (self.alone.counts().unwrap(), self.behind.counts().unwrap());
        for (reason, count, earlier) in [
            (Reason::SentEncapsulated, card.sent, self.earlier[0]),
            (Reason::DropDenied, card.denied, self.earlier[1]),
        ] {
            add(&mut behind[reason as usize], count);
            add(&mut behind[reason as usize], earlier);
        }
        for ((a, b), reason) in alone.iter().zip(&behind).zip(Reason::ALL) {
            if a != b {
                return Err(format!("{reason:?}: {a:?} alone, {b:?} with the card"));
            }
        }
        let mut sent = self.sent.clone();
        for (index, (backend, count)) in (0u32..).zip(self.native.sent()) {
            if self.maps.contains_key(&CardTable::Sent) && self.sent_by(index) != count {
                return Err(format!(
                    "entry {index}: {:?}, on memory {count:?}",
                    self.sent_by(index)
                ));
            }
            add(sent.entry(backend.backend).or_default(), count);
        }
        let ids: Vec<u32> = (0..128).collect();
        let counts = |host: &TestProgram| host.backend_counts(&ids).unwrap();
        for (id, (a, b)) in (0u32..).zip(counts(&self.alone).iter().zip(counts(&self.behind))) {
            let mut both: BackendCount = b;
            add(&mut both.forward, sent.get(&id).copied().unwrap_or_default());
            if *a != both {
                return Err(format!("backend {id}: {a:?} alone, {both:?} with the card"));
            }
        }
        Ok(())
    }

    fn counts(&self) -> CardCounts {
        let key = 0u32.to_ne_bytes();
        let value = self.maps[&CardTable::Counts].lookup(&key, MapFlags::ANY).unwrap().unwrap();
        let entry = CardEntry { key: key.to_vec(), value };
        entry.read(card_tables::COUNTS).unwrap().1
    }

    fn sent_by(&self, index: u32) -> Count {
        let key = index.to_ne_bytes();
        let value = self.maps[&CardTable::Sent].lookup(&key, MapFlags::ANY).unwrap().unwrap();
        CardEntry { key: key.to_vec(), value }.read(card_tables::SENT).unwrap().1
    }

    fn write(&mut self, write: CardWrite) {
        if let CardWrite::Backend(index, _) = write {
            let (backend, count) = self.native.sent().nth(index as usize).unwrap();
            add(self.sent.entry(backend.backend).or_default(), count);
            self.native.forget_sent(index);
            self.put(CardTable::Sent, &CardEntry::of(card_tables::SENT, &index, &Count::default()));
        }
        self.native.write(write).expect("the subset fits");
        let prefix = |word| CardPrefix { word, ..CardPrefix::default() };
        let none = PrefilterWord::default();
        match write {
            CardWrite::Settings(key, value) => {
                self.put(CardTable::Settings, &CardEntry::of(card_tables::SETTINGS, &key, &value));
            }
            CardWrite::Prefix4(key, word) => {
                let value = prefix(word.unwrap_or(none));
                let entry = CardEntry::of(card_tables::PREFIXES4, &key, &value);
                self.exchange(CardTable::Prefixes4, &entry, word.is_some());
            }
            CardWrite::Prefix6(key, word) => {
                let value = prefix(word.unwrap_or(none));
                let entry = CardEntry::of(card_tables::PREFIXES6, &key, &value);
                self.exchange(CardTable::Prefixes6, &entry, word.is_some());
            }
            CardWrite::Service4(key, service) => {
                let entry =
                    CardEntry::of(card_tables::SERVICES4, &key, &service.unwrap_or_default());
                self.exchange(CardTable::Services4, &entry, service.is_some());
            }
            CardWrite::Service6(key, service) => {
                let entry =
                    CardEntry::of(card_tables::SERVICES6, &key, &service.unwrap_or_default());
                self.exchange(CardTable::Services6, &entry, service.is_some());
            }
            CardWrite::Slot(index, slot) => {
                self.put(CardTable::Slots, &CardEntry::of(card_tables::SLOTS, &index, &slot));
            }
            CardWrite::Backend(index, backend) => {
                let entry = CardEntry::of(card_tables::BACKENDS, &index, &backend);
                self.put(CardTable::Backends, &entry);
            }
        }
    }

    fn exchange(&self, table: CardTable, entry: &CardEntry, there: bool) {
        if there {
            self.put(table, entry);
        } else {
            self.maps[&table].delete(&entry.key).unwrap();
        }
    }

    fn put(&self, table: CardTable, entry: &CardEntry) {
        let map = self.maps.get(&table).unwrap_or_else(|| panic!("no {}", table.name()));
        map.update(&entry.key, &entry.value, MapFlags::ANY).unwrap();
    }

    fn copy_to_hosts(&self, copied: impl Fn(Table) -> bool) {
        for host in [&self.alone, &self.behind] {
            let tables = host.tables();
            for &table in Table::ALL.iter().filter(|table| copied(**table)) {
                let words = self.model.words(table).iter().zip(tables.words(table));
                words.for_each(|(from, to)| to.refresh(from.get()));
            }
        }
    }
}

/// Whether a frame ends in its network header: a test run of a classifier takes no such frame.
fn is_cut_short(frame: &[u8]) -> bool {
    let header = match frame.get(12..14) {
        Some([8, 0]) => 20,
        Some([0x86, 0xdd]) => 40,
        _ => 0,
    };
    frame.len() < 14 + header
}

/// The verdict as a program returns it.
fn said(hook: Hook, verdict: CardVerdict) -> u32 {
    const TC_SHOT: u32 = 2;
    const TC_UNSPECIFIED: u32 = u32::MAX;
    match hook {
        Hook::Xdp => verdict as u32,
        Hook::Tc if verdict == CardVerdict::Drop => TC_SHOT,
        Hook::Tc => TC_UNSPECIFIED,
    }
}

/// Loads a card's object for the host's kernel, with tables of these sizes.
fn load_card(
    name: &str,
    room: &BTreeMap<CardTable, u32>,
) -> (Object, BTreeMap<CardTable, MapHandle>) {
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/ebpf");
    let path = objects.join(format!("{name}.o"));
    let mut open = ObjectBuilder::default().open_file(&path).unwrap();
    let table_of = |name: &std::ffi::OsStr| {
        CardTable::ALL.iter().copied().find(|table| table.name() == name).unwrap()
    };
    for mut map in open.maps_mut() {
        let table = table_of(map.name());
        let like = if table == CardTable::Sent { CardTable::Backends } else { table };
        let entries = room.get(&like).copied().or(table.fixed_entries()).unwrap_or(0);
        map.set_max_entries(entries.max(1)).unwrap();
    }
    let object = open.load().unwrap();
    let maps = object
        .maps()
        .map(|map| (table_of(map.name()), MapHandle::try_from(&map).unwrap()))
        .collect();
    (object, maps)
}

fn add(to: &mut Count, more: Count) {
    to.packets += more.packets;
    to.bytes += more.bytes;
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
