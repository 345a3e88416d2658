//! Every packet fixture: what becomes of the packet, and the packet itself, byte by byte and by an independent
//! parser.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod check;
mod support;

use sluice_datapath::{
    Outcome,
    abi::{Class, Reason},
    native::MemoryTables,
    packet::MemoryPacket,
    run,
};
use std::{collections::BTreeSet, path::PathBuf};
use support::{
    apply::apply,
    corpus::{Case, PacketStep, Step, fresh, hex, read},
    frame::{Variables, build},
};

fn cases() -> Vec<Case> {
    read(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures"))
}

#[test]
fn every_fixture_becomes_what_it_says() {
    let failures: Vec<String> = cases().iter().filter_map(|case| play(case).err()).collect();
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn there_are_many_fixtures_with_names_of_their_own() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len());
    assert!(cases.len() >= 150, "only {}", cases.len());
}

#[test]
fn every_reason_has_a_fixture() {
    let cases = cases();
    let packets = cases.iter().flat_map(|case| &case.steps).filter_map(|step| match step {
        Step::Packet(packet) => Some(packet.expected.reason),
        Step::Change(_) => None,
    });
    let seen: BTreeSet<Reason> = packets.collect();
    // The tables of no configuration contradict each other, so no fixture leads to `internal`; see the test of
    // contradicting tables.
    let missing: Vec<_> =
        Reason::ALL.iter().filter(|r| !seen.contains(r) && **r != Reason::DropInternal).collect();
    assert!(missing.is_empty(), "no fixture shows {missing:?}");
}

fn play(case: &Case) -> Result<(), String> {
    let mut tables = fresh();
    let mut variables = Variables::new();
    for (number, step) in (1..).zip(&case.steps) {
        let result = match step {
            Step::Change(text) => change(&mut tables, text),
            Step::Packet(packet) => packet_step(&tables, packet, &mut variables),
        };
        result.map_err(|error| format!("{} step {number}: {error}", case.name))?;
    }
    Ok(())
}

fn change(tables: &mut MemoryTables, text: &str) -> Result<(), String> {
    apply(tables, text)
}

fn packet_step(
    tables: &MemoryTables,
    step: &PacketStep,
    variables: &mut Variables,
) -> Result<(), String> {
    let input = build(&step.input, variables)?;
    let mut packet = MemoryPacket::new(&input);
    if let Some(headroom) = step.headroom {
        packet.limit_headroom(headroom);
    }
    let before = tables.count(step.expected.reason).packets;
    let outcome = run(&mut packet, tables);
    step.check(&outcome)
        .map_err(|error| format!("{error}\n  packet: {}", hex(&input[..input.len().min(100)])))?;
    if tables.count(step.expected.reason).packets != before + 1 {
        return Err("the packet was not counted once".into());
    }
    unchanged_if_passed(&outcome, &input, packet.bytes())?;
    if outcome.reason.class() == Class::Sent {
        step.check_output(packet.bytes(), variables)?;
        if step.output.is_some() && !step.input.contains("sum=0x") {
            check::sound(packet.bytes())
                .map_err(|error| format!("{error}: {}", hex(packet.bytes())))?;
        }
    }
    Ok(())
}

fn unchanged_if_passed(outcome: &Outcome, before: &[u8], after: &[u8]) -> Result<(), String> {
    if outcome.reason.class() == Class::Pass && before != after {
        return Err(format!("a packet for the host was changed: {}", hex(after)));
    }
    Ok(())
}
