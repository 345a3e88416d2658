//! The programs in the kernel against the same stages compiled natively: verdicts, packets, counters and tables.
//!
//! Generated packets: 50,000, or as many as SLUICE_PACKETS says (`cargo xtask test` says a million); SLUICE_SEED=n for
//! other ones. And every packet fixture of the datapath.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../../../datapath/tests/support/mod.rs"]
mod fixtures;
mod twins;

use fixtures::{
    apply::apply,
    corpus::{Case, Step, fresh, hex, read},
    frame::{Variables, build},
};
use sluice_datapath::{
    abi::{Features, Settings},
    native::{
        generator::{Generator, Numbers},
        scenario,
    },
};
use std::{collections::BTreeMap, env, path::PathBuf};
use twins::Twins;

/// Packets between two fresh starts of the tables, which otherwise fill up.
const EPOCH: u64 = 5_000;
/// Packets between two changes of the tables.
const CHANGE: u64 = 250;

/// Everything, and what gateways with less in their configuration load.
const FEATURES: [u32; 6] = [
    Features::ALL,
    Features::SERVICE | Features::DSR | Features::PREFILTER4 | Features::EVENTS,
    Features::SERVICE | Features::DSR | Features::IPV6 | Features::RANGES | Features::VLAN,
    Features::SERVICE | Features::NAT | Features::SOURCES,
    Features::ALL & !(Features::EVENTS | Features::VLAN | Features::AFFINITY | Features::DSR),
    Features::PREFILTER4 | Features::PREFILTER6 | Features::IPV6,
];

#[test]
fn generated_packets_become_the_same_in_the_kernel() {
    if !twins::can_load() {
        return;
    }
    let number = |name: &str| env::var(name).ok().and_then(|text| text.parse().ok());
    let seed: u64 = number("SLUICE_SEED").unwrap_or(1);
    let packets: u64 = number("SLUICE_PACKETS").unwrap_or(50_000);
    let shares = FEATURES.into_iter().enumerate().map(|(number, features)| {
        // Half of the packets for the complete programs, the rest for the others.
        let share = if number == 0 { packets / 2 } else { packets / 10 };
        (features, seed.wrapping_mul(1000) + number as u64, share)
    });
    let shares: Vec<_> = shares.collect();
    let (complete, others) = shares.split_at(1);
    std::thread::scope(|scope| {
        for (cpu, part) in [complete, others].into_iter().enumerate() {
            scope.spawn(move || part.iter().for_each(|share| compare_share(*share, cpu)));
        }
    });
    for (features, seed, share) in &shares {
        println!("note: features {features:#05x}, seed {seed}: {share} packets");
    }
}

fn compare_share((features, seed, packets): (u32, u64, u64), cpu: usize) {
    let settings = Settings { features: Features(features), ..scenario::SETTINGS };
    let Some(mut twins) = Twins::load(&settings, cpu) else { return };
    compare(&mut twins, seed, packets);
}

fn compare(twins: &mut Twins, seed: u64, packets: u64) {
    let mut numbers = Numbers::new(!seed);
    let mut done = 0;
    while done < packets {
        let mut generator = Generator::new(seed.wrapping_mul(1_000_003) + done / EPOCH);
        twins.reset(fresh());
        for number in 1..=EPOCH.min(packets - done) {
            let frame = generator.next_frame();
            let outcome = twins.run(&frame).unwrap_or_else(|difference| {
                panic!(
                    "packet {} of seed {seed}: {difference}\n\
                     to keep it: datapath/tests/fixtures/found.case, in hex {}",
                    done + number,
                    hex(&frame)
                )
            });
            generator.sent(outcome.reason, twins.packet());
            if number % CHANGE == 0 {
                let change = random_change(&mut numbers);
                twins.change(|tables| apply(tables, &change).unwrap());
            }
        }
        done += EPOCH;
        if let Err(difference) = twins.same_state() {
            panic!("after packet {done} of seed {seed}: {difference}");
        }
    }
    twins.same_everywhere().unwrap_or_else(|difference| panic!("seed {seed}: {difference}"));
}

/// What configuration and time do to tables while packets come.
fn random_change(numbers: &mut Numbers) -> String {
    let backend = 1 + numbers.below(66);
    let services = scenario::rows();
    let service = numbers.pick(&services).name;
    let (now, before) = (numbers.below(67), numbers.below(67));
    let ticks = numbers.below(120);
    match numbers.below(12) {
        0 => format!("backend {backend} dead"),
        1 => format!("backend {backend} unresolved"),
        2 => format!("backend {backend} gone"),
        3 | 4 => format!("backend {backend} alive"),
        5 => format!("slot {service} {now} {before}"),
        6 => format!("slot {service} {now} 0"),
        7 => format!("moving {service} since {ticks}"),
        8 => format!("remembered idle {ticks}"),
        9 => format!("fragments idle {ticks}"),
        10 => "remembered full".into(),
        _ => "ports all closed".into(),
    }
}

#[test]
fn fixtures_become_the_same_in_the_kernel() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../datapath/tests/fixtures");
    // Cases with the same settings share their programs: loading takes seconds, running microseconds.
    let mut groups: BTreeMap<String, (Settings, Vec<Case>)> = BTreeMap::new();
    for case in read(&folder) {
        let settings = settings_of(&case);
        let group = groups.entry(format!("{settings:?}")).or_insert((settings, Vec::new()));
        group.1.push(case);
    }
    let (mut played, mut left_out) = (0, 0);
    for (settings, cases) in groups.into_values() {
        let Some(mut twins) = Twins::load(&settings, 0) else { return };
        for case in cases {
            match play(&mut twins, &case) {
                Ok(true) => played += 1,
                Ok(false) => left_out += 1,
                Err(difference) => panic!("{}: {difference}", case.name),
            }
        }
    }
    println!("{played} fixtures, {left_out} left out: a test run takes no such packet or headroom");
    assert!(played > 150 && left_out < 10, "{played} played, {left_out} left out");
}

fn settings_of(case: &Case) -> Settings {
    let mut tables = fresh();
    for step in &case.steps {
        if let Step::Change(text) = step {
            apply(&mut tables, text).unwrap();
        }
    }
    tables.settings
}

/// False for a case that can't be played in the kernel.
fn play(twins: &mut Twins, case: &Case) -> Result<bool, String> {
    let settings = *twins.settings();
    twins.reset(fresh());
    twins.change(|tables| tables.settings = settings);
    let mut variables = Variables::new();
    for step in &case.steps {
        match step {
            Step::Change(text) => twins.change(|tables| apply(tables, text).unwrap()),
            Step::Packet(step) => {
                let frame = build(&step.input, &variables)?;
                if step.headroom.is_some() || frame.len() < 14 {
                    return Ok(false);
                }
                let outcome = twins.run(&frame)?;
                step.check(&outcome)?;
                step.check_output(twins.packet(), &mut variables)?;
            }
        }
    }
    twins.same_state().map(|()| true)
}
