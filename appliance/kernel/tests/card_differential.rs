//! The card's programs in front of the host's, all in the kernel: same verdicts, same bytes as the host alone, whatever
//! part of the tables the card holds and while that part changes.
//!
//! 40,000 generated packets and one after every write to the card, or 1,000,000 with SLUICE_LONG=1; SLUICE_SEED=n for other
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

/// The objects, and gateways that they are for.
const CASES: [(&str, Hook, u32); 5] = [
    ("card-both-xdp", Hook::Xdp, Features::ALL),
    ("card-both-xdp", Hook::Xdp, NO_PREFILTER),
    ("card-prefilter-xdp", Hook::Xdp, Features::ALL),
    ("card-service-xdp", Hook::Xdp, NO_PREFILTER),
    ("card-prefilter-tc", Hook::Tc, Features::ALL),
];

#[test]
fn cards_in_the_kernel_change_nothing() {
    let long = env::var("SLUICE_LONG").is_ok_and(|value| value == "1");
    let seed = env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1u64);
    let packets = if long { 1_000_000 } else { 40_000 } / CASES.len() as u64;
    let full = Pair::full_room();
    let (mut sent, mut taken) = (0u64, 0);
    for (number, (object, hook, features)) in (0..).zip(CASES) {
        let settings = Settings { features: Features(features), ..scenario::SETTINGS };
        // A map has at least one entry.
        let room = full.iter().map(|(table, size)| (*table, (*size).max(1))).collect();
        let Some(mut pair) = BehindCard::load(&settings, object, hook, &room) else { return };
        let mut numbers = Numbers::new(seed.wrapping_mul(1000) + number);
        let mut generator = Generator::zipf(numbers.next_bits());
        let stages = Stages::of(object);
        let what = format!("{object}, features {features:#x}, seed {seed}");
        // All that fits, and packets at every edge.
        let wanted = stages.part(Wanted::choose(&pair.model, &full, 100, &mut numbers));
        pair.change(&wanted, |_| {});
        for text in directed::texts() {
            let frame = build(&text, &Variables::new()).expect(&text);
            pair.packet(&frame).unwrap_or_else(|difference| panic!("{what}: {difference}"));
            sent += 1;
        }
        // Every number of entries of every table, one change of the subset after the other.
        let levels: u64 = full.values().map(|size| u64::from(size + 1)).sum();
        for (&table, &largest) in &full {
            for size in 0..=largest {
                let mut room = full.clone();
                room.insert(table, size);
                let share = if numbers.once_in(3) { 60 } else { 100 };
                if numbers.once_in(3) {
                    apply(&mut pair.model, &random_change(&mut numbers)).unwrap();
                }
                let wanted = stages.part(Wanted::choose(&pair.model, &room, share, &mut numbers));
                let what = format!("{what}, {size} of {}", table.name());
                pair.change(&wanted, |pair| {
                    send(pair, &mut generator, 1, &what);
                    sent += 1;
                });
                send(&mut pair, &mut generator, packets / levels, &what);
                sent += packets / levels;
            }
        }
        pair.same_counts().unwrap_or_else(|difference| panic!("{what}: {difference}"));
        println!("{what}: {} packets finished on the card", pair.taken());
        taken += pair.taken();
    }
    println!("{sent} packets, {taken} finished on the card");
    assert!(taken > 1000);
}

fn send(pair: &mut BehindCard, generator: &mut Generator, count: u64, what: &str) {
    for _ in 0..count {
        let frame = generator.next_frame();
        if let Err(difference) = pair.packet(&frame) {
            panic!("{what}: {difference}\n  {}", hex(&frame));
        }
    }
}

/// The stages that an object has.
struct Stages {
    prefilter: bool,
    service: bool,
}

impl Stages {
    fn of(object: &str) -> Self {
        let both = object.contains("both");
        Self {
            prefilter: both || object.contains("prefilter"),
            service: both || object.contains("service"),
        }
    }

    /// What such a card may hold of what is wanted.
    fn part(&self, mut wanted: Wanted) -> Wanted {
        if !self.prefilter {
            assert!(wanted.prefixes.is_empty(), "a gateway without prefixes");
        }
        if !self.service {
            wanted.services = BTreeMap::new();
            wanted.whole = [false; 2];
        }
        wanted
    }
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

#[test]
fn the_smallest_tables_hold_two_entries() {
    let settings = Settings { features: Features(NO_PREFILTER), ..scenario::SETTINGS };
    let room: BTreeMap<_, _> = CardTable::ALL.iter().map(|table| (*table, 2)).collect();
    let Some(mut pair) = BehindCard::load(&settings, "card-both-xdp", Hook::Xdp, &room) else {
        return;
    };
    let mut numbers = Numbers::new(3);
    let mut generator = Generator::zipf(2);
    for _ in 0..20 {
        let wanted = Wanted::choose(&pair.model, &room, 100, &mut numbers);
        assert!(!wanted.services.is_empty());
        pair.change(&wanted, |pair| send(pair, &mut generator, 1, "two entries"));
        send(&mut pair, &mut generator, 100, "two entries");
    }
    pair.same_counts().unwrap();
}
