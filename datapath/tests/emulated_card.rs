//! A card in front of the host changes no verdict and no byte, whatever part of the tables it holds and while that
//! part changes. 900,000 generated packets, or 4,500,000 with SLUICE_LONG=1; SLUICE_SEED=n for other ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod card;
mod support;

use card::{
    directed,
    pair::{Pair, hex},
    subset::{Wanted, candidates},
};
use sluice_datapath::{
    abi::{CardTable, Features, Settings},
    native::{
        MemoryTables,
        generator::{Generator, Numbers},
        scenario,
    },
};
use std::env;
use support::{
    apply::apply,
    corpus::fresh,
    frame::{Variables, build},
};

fn seed() -> u64 {
    env::var("SLUICE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

fn packets(short: u64) -> u64 {
    let long = env::var("SLUICE_LONG").is_ok_and(|value| value == "1");
    if long { short * 5 } else { short }
}

/// Gateways with and without what decides on what a card may hold.
const FEATURES: [u32; 4] = [
    Features::ALL,
    Features::ALL & !(Features::PREFILTER4 | Features::PREFILTER6),
    Features::ALL & !(Features::IPV6 | Features::PREFILTER4 | Features::EVENTS),
    Features::ALL & !(Features::AFFINITY | Features::PREFILTER6 | Features::VLAN),
];

fn tables(features: u32) -> MemoryTables {
    let mut tables = fresh();
    tables.settings = Settings { features: Features(features), ..tables.settings };
    tables
}

fn send(pair: &mut Pair, generator: &mut Generator, count: u64, what: &str) {
    for number in 0..count {
        let frame = generator.next_frame();
        match pair.packet(&frame) {
            Ok(outcome) => generator.sent(outcome.reason, pair.sent()),
            Err(difference) => panic!("{what}, packet {number}: {difference}\n  {}", hex(&frame)),
        }
    }
}

fn directed_frames() -> Vec<Vec<u8>> {
    directed::texts().iter().map(|text| build(text, &Variables::new()).expect(text)).collect()
}

#[test]
fn a_card_of_any_size_changes_nothing() {
    let full = Pair::full_room();
    println!("room for everything: {full:?}");
    let levels: u32 = full.values().map(|size| size + 1).sum();
    let each = packets(450_000) / u64::from(levels) / FEATURES.len() as u64;
    let (mut sent, mut taken) = (0, 0);
    for features in FEATURES {
        let mut numbers = Numbers::new(seed());
        let mut pair = Pair::new(|| tables(features), full.clone());
        for (&table, &largest) in &full {
            for size in 0..=largest {
                let mut room = full.clone();
                room.insert(table, size);
                pair.exchange_card(room);
                let wanted = Wanted::choose(&pair.alone, pair.room(), 100, &mut numbers);
                pair.change(&wanted, |_| {}, |_| {});
                let mut generator = Generator::zipf(numbers.next_bits());
                let what = format!("features {features:#x}, {} of {}", size, table.name());
                send(&mut pair, &mut generator, each, &what);
                pair.same_counts().unwrap_or_else(|difference| panic!("{what}: {difference}"));
                sent += each;
            }
        }
        taken += pair.taken();
    }
    println!("{sent} packets with {} sizes, {taken} finished on the card", levels);
    assert!(taken * 20 > sent, "only {taken} of {sent} finished on the card");
}

#[test]
fn packets_at_every_edge_become_the_same() {
    let frames = directed_frames();
    let mut taken = 0;
    for features in FEATURES {
        let mut pair = Pair::new(|| tables(features), Pair::full_room());
        let wanted =
            Wanted::choose(&pair.alone, &Pair::full_room(), 100, &mut Numbers::new(seed()));
        assert_eq!(wanted.services.len(), candidates(&pair.alone).len());
        pair.change(&wanted, |_| {}, |_| {});
        for frame in &frames {
            pair.packet(frame).unwrap_or_else(|difference| panic!("{difference}"));
        }
        pair.same_counts().unwrap();
        taken += pair.taken();
    }
    println!("{} packets, {taken} finished on the card", frames.len() * FEATURES.len());
    assert!(taken > 1000);
}

#[test]
fn a_thousand_changes_of_the_subset_change_nothing() {
    const CHANGES: u64 = 1000;
    let full = Pair::full_room();
    let each = packets(450_000) / CHANGES / 10;
    let (mut sent, mut taken, mut writes) = (0, 0, 0u64);
    for (round, features) in (0..).zip(FEATURES) {
        let mut numbers = Numbers::new(seed().wrapping_add(round));
        let mut generator = Generator::zipf(seed().wrapping_add(round));
        let mut pair = Pair::new(|| tables(features), full.clone());
        // What will be true once the host has changed.
        let mut after = tables(features);
        for change in 0..CHANGES / FEATURES.len() as u64 {
            let text = numbers.once_in(3).then(|| random_change(&mut numbers));
            let host = |tables: &mut MemoryTables| {
                if let Some(text) = &text {
                    apply(tables, text).unwrap();
                }
            };
            host(&mut after);
            let share = [0, 30, 60, 90, 100][numbers.below(5) as usize];
            let wanted = Wanted::choose(&after, &full, share, &mut numbers);
            let what = format!("features {features:#x}, change {change} ({text:?})");
            pair.change(&wanted, host, |pair| {
                writes += 1;
                send(pair, &mut generator, each.div_ceil(4), &what);
                sent += each.div_ceil(4);
            });
            send(&mut pair, &mut generator, each, &what);
            sent += each;
        }
        pair.same_counts().unwrap();
        taken += pair.taken();
    }
    println!("{sent} packets around {writes} writes, {taken} finished on the card");
    assert!(writes > CHANGES && taken * 20 > sent, "{writes} writes, {taken} of {sent}");
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
fn a_full_table_refuses_and_stays_as_it_is() {
    let mut room = Pair::full_room();
    room.insert(CardTable::Services4, 1);
    let pair = Pair::new(fresh, room);
    let mut card = pair.card.clone();
    let all = candidates(&pair.alone);
    let refused = all.keys().filter(|key| {
        let write = card::writer::service_write(**key, Some(Default::default()));
        card.write(write).is_err()
    });
    assert_eq!(refused.count(), pair_services4(&all) - 1);
}

fn pair_services4<V>(all: &std::collections::BTreeMap<card::subset::Key, V>) -> usize {
    all.keys().filter(|key| key.family() == 0).count()
}
