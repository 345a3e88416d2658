//! The card's programs in front of the host's, all in the kernel: same verdicts, same bytes as the host alone, whatever
//! part of the tables the card holds and while that part changes.
//!
//! 120,000 generated packets and one after every write to the card, or 1,000,000 with SLUICE_LONG=1; SLUICE_SEED=n for other
//! ones. Far more go through the same stages on memory (`datapath/tests/emulated_card.rs`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod behind_card;
#[path = "../../../datapath/tests/card/mod.rs"]
mod card;
#[path = "../../../datapath/tests/support/mod.rs"]
mod fixtures;

use behind_card::{BehindCard, Hook, hex};
use card::{directed, pair::Pair, subset::Wanted};
use fixtures::{
    apply::apply,
    frame::{Variables, build},
};
use sluice_datapath::{
    abi::{CardTable, Features, Settings},
    native::{
        generator::{Generator, Numbers},
        scenario,
    },
};
use std::{collections::BTreeMap, env};

const NO_PREFILTER: u32 = Features::ALL & !(Features::PREFILTER4 | Features::PREFILTER6);

/// Gateways, and the objects for their cards.
const GATEWAYS: [(u32, &[(&str, Hook)]); 2] = [
    (
        Features::ALL,
        &[
            ("card-both-xdp", Hook::Xdp),
            ("card-prefilter-xdp", Hook::Xdp),
            ("card-prefilter-tc", Hook::Tc),
        ],
    ),
    (NO_PREFILTER, &[("card-both-xdp", Hook::Xdp), ("card-service-xdp", Hook::Xdp)]),
];

#[test]
fn cards_in_the_kernel_change_nothing() {
    let long = env::var("SLUICE_LONG").is_ok_and(|value| value == "1");
    let seed = env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let packets = if long { 1_000_000 } else { 120_000 };
    // A map has at least one entry.
    let room = Pair::full_room().into_iter().map(|(table, size)| (table, size.max(1))).collect();
    let (mut sent, mut taken) = (0, 0);
    for (features, objects) in GATEWAYS {
        let settings = Settings { features: Features(features), ..scenario::SETTINGS };
        let (first, hook) = objects[0];
        let Some(mut pair) = BehindCard::load(&settings, first, hook, &room) else { return };
        for &(object, hook) in objects {
            pair.exchange_card(object, hook, &room);
            let mut traffic = Traffic {
                numbers: Numbers::new(seed.wrapping_mul(1000) + sent),
                generator: Generator::zipf(seed.wrapping_add(sent)),
                what: format!("{object}, features {features:#x}, seed {seed}"),
                sent: 0,
            };
            traffic.at_every_edge(&mut pair, object);
            traffic.at_every_size(&mut pair, object, packets / 5);
            traffic.with_two_entries(&mut pair, object, hook);
            pair.exchange_card(object, hook, &room);
            sent += traffic.sent;
        }
        println!("features {features:#x}: {} packets finished on cards", pair.taken());
        taken += pair.taken();
    }
    println!("{sent} packets, {taken} finished on the card");
    assert!(taken > 1000);
}

struct Traffic {
    numbers: Numbers,
    generator: Generator,
    what: String,
    sent: u64,
}

impl Traffic {
    fn send(&mut self, pair: &mut BehindCard, count: u64) {
        for _ in 0..count {
            let frame = self.generator.next_frame();
            self.one(pair, &frame);
        }
    }

    fn one(&mut self, pair: &mut BehindCard, frame: &[u8]) {
        if let Err(difference) = pair.packet(frame) {
            panic!("{}: {difference}\n  {}", self.what, hex(frame));
        }
        self.sent += 1;
    }

    fn same_counts(&self, pair: &BehindCard) {
        pair.same_counts().unwrap_or_else(|difference| panic!("{}: {difference}", self.what));
    }

    /// All that fits, and packets around every edge of the tables.
    fn at_every_edge(&mut self, pair: &mut BehindCard, object: &str) {
        let full = Pair::full_room();
        let wanted = Wanted::choose(&pair.model, &full, 100, &mut self.numbers);
        pair.change(&part(object, wanted), |_| {});
        for text in directed::texts() {
            self.one(pair, &build(&text, &Variables::new()).expect(&text));
        }
        self.same_counts(pair);
    }

    /// Every number of entries of every table, one change of the subset after the other.
    fn at_every_size(&mut self, pair: &mut BehindCard, object: &str, packets: u64) {
        let full = Pair::full_room();
        let levels: u64 = full.values().map(|size| u64::from(size + 1)).sum();
        for (&table, &largest) in &full {
            for size in 0..=largest {
                let mut room = full.clone();
                room.insert(table, size);
                let share = if self.numbers.once_in(3) { 60 } else { 100 };
                if self.numbers.once_in(3) {
                    apply(&mut pair.model, &random_change(&mut self.numbers)).unwrap();
                }
                let wanted = Wanted::choose(&pair.model, &room, share, &mut self.numbers);
                pair.change(&part(object, wanted), |pair| self.send(pair, 1));
                self.send(pair, packets / levels);
            }
        }
        self.same_counts(pair);
    }

    /// The smallest tables that there are: those of netdevsim.
    fn with_two_entries(&mut self, pair: &mut BehindCard, object: &str, hook: Hook) {
        let room: BTreeMap<_, _> = CardTable::ALL.iter().map(|table| (*table, 2)).collect();
        pair.exchange_card(object, hook, &room);
        for _ in 0..10 {
            let wanted = Wanted::choose(&pair.model, &room, 100, &mut self.numbers);
            pair.change(&part(object, wanted), |pair| self.send(pair, 1));
            self.send(pair, 100);
        }
        self.same_counts(pair);
    }
}

/// What a card with the stages of this object may hold of what is wanted.
fn part(object: &str, mut wanted: Wanted) -> Wanted {
    if !object.contains("both") && !object.contains("prefilter") {
        assert!(wanted.prefixes.is_empty(), "a gateway without prefixes");
    }
    if !object.contains("both") && !object.contains("service") {
        wanted.services = BTreeMap::new();
        wanted.whole = [false; 2];
    }
    wanted
}

/// What configuration and neighbours do to services.
fn random_change(numbers: &mut Numbers) -> String {
    let (backend, service) = (1 + numbers.below(72), numbers.pick(&scenario::rows()).name);
    let (now, before) = (1 + numbers.below(72), 1 + numbers.below(72));
    match numbers.below(6) {
        0 => format!("backend {backend} dead"),
        1 => format!("backend {backend} unresolved"),
        2 | 3 => format!("backend {backend} alive"),
        4 => format!("slot {service} {now} {before}"),
        _ => format!("slot {service} {now} 0"),
    }
}
