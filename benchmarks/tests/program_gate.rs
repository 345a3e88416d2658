//! The gate finds a slow-down and nothing else.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use sluice_benchmarks::{
    gate::gate,
    machine::Machine,
    packet::{Configuration, Delivery, Setup, Wrapper, measure_setup, obstacle, setups, stay_here},
    record::Record,
};
use std::path::{Path, PathBuf};

const ROUNDS: usize = 9;

/// One gateway, few cases: what the gate does with them is the same for all.
fn setup() -> Setup {
    let mut setup = setups(true).remove(0);
    setup.configuration =
        Configuration { services: vec![Delivery::Dsr], ..Configuration::default() };
    setup.cases.retain(|case| case.name.starts_with("dsr/ipv4/tcp"));
    assert_eq!(setup.cases.len(), 2);
    setup
}

#[test]
fn a_slow_down_is_found_and_noise_is_not() {
    let object = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/ebpf/bench.o");
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return;
    }
    if std::env::var_os("SLUICE_LONG").is_none() {
        println!(
            "skipped: it measures time, which a busy machine blurs; run with --long on a quiet one"
        );
        return;
    }
    stay_here();
    let mut wrapper = Wrapper::load(&object).unwrap();
    let setups = [setup()];
    let machine = Machine::here(&PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    let measured = measure_setup(&mut wrapper, &setups[0], 3 * ROUNDS).unwrap();
    let baseline: Vec<Record> = measured.iter().flat_map(|one| one.records(&machine)).collect();

    let quiet = gate(&mut wrapper, &setups, &baseline, ROUNDS, false).unwrap();
    assert_eq!(quiet, [], "nothing has changed");
    // Some 30 ns, a good half of what such a packet takes.
    let slow = gate(&mut wrapper, &setups, &baseline, ROUNDS, true).unwrap();
    let cases: Vec<&str> = slow.iter().map(|finding| finding.case.as_str()).collect();
    assert_eq!(cases.len(), 3, "every case is slower: {slow:?}");
    assert!(cases.iter().all(|case| case.starts_with("dsr/ipv4/tcp")));
}
