//! Generated packets: nothing panics, everything is counted once, and enough of it is what services are for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sluice_datapath::{
    Next, Program,
    abi::{Class, Count, Features, Reason, Table},
    event, fast, fragment, fragment_nat, full, icmp, icmp_nat, nat,
    native::{MemoryTables, generator::Generator, scenario},
    open,
    packet::MemoryPacket,
    run, too_big,
};
use std::collections::BTreeMap;

#[test]
fn generated_packets_reach_every_outcome_that_they_can() {
    const PACKETS: u64 = 40_000;
    let mut seen: BTreeMap<Reason, u64> = BTreeMap::new();
    for seed in 0..4 {
        let tables = scenario::tables();
        let mut generator = Generator::new(seed);
        for _ in 0..PACKETS / 4 {
            let frame = generator.next_frame();
            let mut packet = MemoryPacket::new(&frame);
            let outcome = run(&mut packet, &tables);
            *seen.entry(outcome.reason).or_default() += 1;
            if outcome.reason.class() == Class::Pass {
                assert_eq!(packet.bytes(), frame, "a packet for the host was changed");
            }
            generator.sent(outcome.reason, packet.bytes());
        }
        let counted: u64 = (0..Reason::COUNT as u32)
            .map(|reason| tables.with(Table::Counts, reason, |c: &mut Count| c.packets).unwrap())
            .sum();
        assert_eq!(counted, PACKETS / 4);
    }
    let reasons = Reason::ALL.iter().filter(|reason| {
        // Frames are never shorter than an Ethernet header, and the room in front of them is ample; every
        // feature is on; the tables don't contradict each other.
        !matches!(
            reason,
            Reason::DropEthernetTruncated
                | Reason::DropHeadroom
                | Reason::PassVlan
                | Reason::PassVlanDepth
                | Reason::PassIpv6
                | Reason::PassUnconfigured
                | Reason::DropBackendDead
                | Reason::DropInternal
        )
    });
    let missing: Vec<_> = reasons.filter(|reason| !seen.contains_key(reason)).collect();
    assert!(missing.is_empty(), "never {missing:?}; seen {seen:?}");
    assert!(!seen.contains_key(&Reason::DropInternal), "{seen:?}");
    let sent: u64 =
        seen.iter().filter(|(r, _)| r.class() == Class::Sent).map(|(_, count)| count).sum();
    assert!(sent * 4 > PACKETS, "only {sent} of {PACKETS} sent: {seen:?}");
}

/// Where a packet goes next after this program.
fn follow(program: Program, packet: &mut MemoryPacket, tables: &MemoryTables) -> Next {
    match program {
        Program::Full4 => full::<false, _, _>(packet, tables),
        Program::Full6 => full::<true, _, _>(packet, tables),
        Program::Nat4 => nat::<false, _, _>(packet, tables),
        Program::Nat6 => nat::<true, _, _>(packet, tables),
        Program::Icmp4 => icmp::<false, _, _>(packet, tables),
        Program::Icmp6 => icmp::<true, _, _>(packet, tables),
        Program::IcmpNat4 => icmp_nat::<false, _, _>(packet, tables),
        Program::IcmpNat6 => icmp_nat::<true, _, _>(packet, tables),
        Program::Fragment4 => fragment::<false, _, _>(packet, tables),
        Program::Fragment6 => fragment::<true, _, _>(packet, tables),
        Program::FragmentNat4 => fragment_nat::<false, _, _>(packet, tables),
        Program::FragmentNat6 => fragment_nat::<true, _, _>(packet, tables),
        Program::TooBig4 => too_big::<false, _, _>(packet, tables),
        Program::TooBig6 => too_big::<true, _, _>(packet, tables),
        Program::Open4 => open::<false, _, _>(packet, tables),
        Program::Open6 => open::<true, _, _>(packet, tables),
        Program::Event => unreachable!("nothing is behind it"),
    }
}

#[test]
fn no_packet_comes_to_a_program_that_is_not_loaded() {
    let mut came = BTreeMap::<u32, u32>::new();
    // The tables stay those of the standard configuration: as after a change that leaves something out.
    for features in (0..=Features::ALL).map(Features) {
        let mut tables = scenario::tables();
        let mut generator = Generator::new(u64::from(features.0));
        for count in 0..150 {
            // Flows of everything are in the tables when the features go.
            tables.settings.features = if count < 50 { Features(Features::ALL) } else { features };
            let frame = generator.next_frame();
            let mut packet = MemoryPacket::new(&frame);
            if count < 50 {
                let outcome = run(&mut packet, &tables);
                generator.sent(outcome.reason, packet.bytes());
                continue;
            }
            let mut next = fast(&mut packet, &tables);
            loop {
                let program = match next {
                    Next::Done(_) => break,
                    Next::Event(_) => Program::Event,
                    Next::Program(program) => program,
                };
                assert!(
                    program.is_reachable(features),
                    "{program:?} with {features:?}: {frame:x?}"
                );
                *came.entry(program as u32).or_default() += 1;
                if program == Program::Event {
                    event(&packet, &tables);
                    break;
                }
                next = follow(program, &mut packet, &tables);
            }
        }
    }
    assert_eq!(came.len(), Program::ALL.len(), "a program was never needed: {came:?}");
}
