//! Flows made so that their hashes collide: they may hurt themselves, never another flow.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use sluice_datapath::{
    Outcome,
    abi::{Reason, address4},
    hash,
    native::{MemoryTables, scenario},
    packet::{MemoryPacket, wire},
    run,
};
use std::net::Ipv4Addr;
use support::frame::{Variables, build};

const VIRTUAL: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);

fn tag(source: Ipv4Addr, port: u16) -> u32 {
    let ports = wire::ports(port, 80);
    hash::flow(address4(source)[0], address4(VIRTUAL)[0], ports, wire::protocol::TCP).high()
}

/// Another flow with the tag of this one, found by trying sources: most ports of each differ in their tag.
fn twin_of(source: Ipv4Addr, port: u16) -> (Ipv4Addr, u16) {
    // The tag is a bijection of `source * a ^ ports * b ^ ..`: solved for the ports, one source in 65536 has a
    // solution whose destination port is the service's.
    const A: u32 = 0xc2b2_ae3d;
    const B: u32 = 0x27d4_eb2f;
    let inverse = (0..5).fold(B, |x, _| x.wrapping_mul(2u32.wrapping_sub(B.wrapping_mul(x))));
    let part = |source: Ipv4Addr| address4(source)[0].rotate_left(7).wrapping_mul(A);
    let wanted = part(source) ^ wire::ports(port, 80).wrapping_mul(B);
    (0xc633_0000u32..)
        .map(Ipv4Addr::from_bits)
        .find_map(|other| {
            let ports = (wanted ^ part(other)).wrapping_mul(inverse);
            let twin = (other, wire::source_port(ports));
            (other != source && wire::destination_port(ports) == 80).then_some(twin)
        })
        .unwrap()
}

fn send(tables: &MemoryTables, (source, port): (Ipv4Addr, u16), flags: &str) -> Outcome {
    let text = format!("ip4 src={source} dst={VIRTUAL} df / tcp sport={port} dport=80 {flags}");
    run(&mut MemoryPacket::new(&build(&text, &Variables::new()).unwrap()), tables)
}

#[test]
fn a_flow_with_the_tag_of_another_is_refused_and_the_other_goes_on() {
    let tables = scenario::tables();
    let first = (Ipv4Addr::new(198, 51, 100, 7), 40_000);
    let second = twin_of(first.0, first.1);
    assert_eq!(tag(first.0, first.1), tag(second.0, second.1));
    assert_eq!(send(&tables, first, "syn").reason, Reason::SentTranslated);
    // The service has one set of ports, where the tag stands already.
    assert_eq!(send(&tables, second, "syn").reason, Reason::DropNatExhausted);
    assert_eq!(send(&tables, second, "ack").reason, Reason::DropNatUnknownFlow);
    assert_eq!(send(&tables, first, "ack").reason, Reason::SentTranslated);
}
