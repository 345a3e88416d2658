//! Generated packets: nothing panics, everything is counted once, and enough of it is what services are for.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use sluice_datapath::{
    abi::{Class, Count, Reason, Table},
    native::{generator::Generator, scenario},
    packet::MemoryPacket,
    run,
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
