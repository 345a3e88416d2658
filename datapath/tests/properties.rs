//! Properties that hold for all inputs, against naive models.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use proptest::prelude::*;
use sluice_datapath::{
    Outcome,
    abi::{Backend, BackendFlags, Class, Reason, Shared64, Slot, Table, address4, address6},
    native::{
        MemoryTables,
        generator::Generator,
        scenario::{self, Prefix, fill_prefilter},
    },
    packet::{Delta, MemoryPacket},
    run,
    stages::prefilter::{longest4, longest6},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use support::{
    frame::{Variables, build},
    wire::checksum,
};

fn send(tables: &MemoryTables, text: &str) -> (Outcome, Vec<u8>) {
    let mut packet = MemoryPacket::new(&build(text, &Variables::new()).unwrap());
    let outcome = run(&mut packet, tables);
    (outcome, packet.bytes().to_vec())
}

proptest! {
    /// Words change under a checksum; the updated checksum is the one over the new words.
    #[test]
    fn an_updated_checksum_is_the_recomputed_one(
        mut words in prop::collection::vec(any::<u32>(), 1..20),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u32>()), 1..6),
    ) {
        // A header is never all zeros: its first byte is its version.
        words[0] |= 0x45;
        let bytes = |words: &[u32]| words.iter().flat_map(|w| w.to_ne_bytes()).collect::<Vec<_>>();
        let mut sum = checksum(&[&bytes(&words)]).to_be();
        for (at, new) in changes {
            let at = at.index(words.len());
            let new = if at == 0 { new | 0x45 } else { new };
            sum = Delta::new().word(words[at], new).apply(sum);
            words[at] = new;
            prop_assert_eq!(sum.to_ne_bytes(), checksum(&[&bytes(&words)]).to_be_bytes());
        }
    }

    /// A generated packet cut anywhere gives a verdict; what the host gets is unchanged.
    #[test]
    fn a_packet_cut_anywhere_is_never_misread(seed in any::<u64>(), at in any::<prop::sample::Index>()) {
        thread_local! {
            static TABLES: MemoryTables = scenario::tables();
        }
        let frame = Generator::new(seed).next_frame();
        let cut = &frame[..at.index(frame.len() + 1)];
        let mut packet = MemoryPacket::new(cut);
        let outcome = TABLES.with(|tables| run(&mut packet, tables));
        if outcome.reason.class() == Class::Pass {
            prop_assert_eq!(packet.bytes(), cut);
        }
    }
}

fn prefixes(ipv6: bool) -> impl Strategy<Value = Vec<Prefix>> {
    // Addresses from a small space, so that prefixes nest.
    let one = (any::<u16>(), 0u32..=if ipv6 { 128 } else { 32 }, any::<bool>());
    prop::collection::vec(one, 0..40).prop_map(move |list| {
        let mut seen = BTreeSet::new();
        let all = list.into_iter().map(|(seed, bits, deny)| {
            let bits = if ipv6 { bits } else { bits.max(10) };
            Prefix { address: address_of(seed, ipv6), bits, deny }
        });
        all.filter(|prefix| {
            let network = match prefix.address {
                IpAddr::V4(ip) => u128::from(ip.to_bits()) >> (32 - prefix.bits) << 1,
                IpAddr::V6(ip) => ip.to_bits().checked_shr(128 - prefix.bits).unwrap_or(0),
            };
            seen.insert((prefix.bits, network))
        })
        .collect()
    })
}

/// Few addresses, alike in their upper bits and their lower ones.
fn address_of(seed: u16, ipv6: bool) -> IpAddr {
    let (a, b, c) = (seed & 3, seed >> 2 & 3, seed >> 4 & 7);
    if ipv6 {
        Ipv6Addr::new(0x2001, 0xdb8 | a << 15, b << 8, c, 0, 0, a, b | c << 12).into()
    } else {
        Ipv4Addr::new(10 | (a as u8) << 6, b as u8, c as u8, (seed >> 7) as u8).into()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// In each half, and after the switch to the other.
    #[test]
    fn the_prefilter_finds_the_longest_prefix(
        first in prefixes(false), second in prefixes(false),
        first6 in prefixes(true), second6 in prefixes(true),
        seeds in prop::collection::vec(any::<u16>(), 100),
    ) {
        let mut sizes = scenario::sizes();
        for (table, entries) in &mut sizes {
            if matches!(table, Table::Prefilter4Bitmap | Table::Prefilter6Bitmap) {
                *entries = 2 << 18;
            } else if *table == Table::NatRecords {
                *entries = 16;
            }
        }
        let mut tables = MemoryTables::new(scenario::SETTINGS, sizes);
        let halves = [[first, first6].concat(), [second, second6].concat()];
        for (half, prefixes) in (0..).zip(&halves) {
            fill_prefilter(&mut tables, half, prefixes);
        }
        for (half, prefixes) in (0u32..).zip(&halves) {
            let control: &sluice_datapath::abi::PrefilterControl =
                tables.entry(Table::PrefilterControl, 0).unwrap();
            control.active4.set(half);
            control.active6.set(half);
            for seed in &seeds {
                for ipv6 in [false, true] {
                    let ip = address_of(*seed, ipv6);
                    let naive = prefixes.iter().filter(|p| p.covers(ip)).max_by_key(|p| p.bits);
                    let found = match ip {
                        IpAddr::V4(ip) => longest4(address4(ip)[0], &tables),
                        IpAddr::V6(ip) => longest6(&address6(ip), &tables),
                    };
                    let found = found.map(|found| (found.word.bits(), found.word.denies()));
                    prop_assert_eq!(found, naive.map(|p| (p.bits, p.deny)), "{}", ip);
                }
            }
        }
    }
}

/// What happens to a service whose slots change.
#[derive(Clone, Debug)]
enum Happening {
    /// A flow sends a packet; its first is a SYN.
    Packet(u16),
    /// The slot gets another backend for new flows.
    Change(u32),
    /// A backend dies.
    Death(u32),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0u16..30).prop_map(Happening::Packet),
        2 => (1u32..=4).prop_map(Happening::Change),
        1 => (1u32..=4).prop_map(Happening::Death),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever changes come, a flow keeps its backend while that lives: as the planner writes slots, `before`
    /// stays the backend from before the first change, or none of the dead.
    #[test]
    fn no_change_moves_a_flow_of_a_living_backend(
        happenings in prop::collection::vec(happening(), 1..150)
    ) {
        let mut tables = scenario::tables();
        let mut alive: BTreeSet<u32> = (1..=4).collect();
        let (mut now, mut before) = (1u32, 0u32);
        let mut flows: HashMap<u16, u32> = HashMap::new();
        // Four backends of the slot of 192.0.2.1:80.
        for id in 2..=4 {
            let first = *tables.entry::<Backend>(Table::Backends, 1).unwrap();
            *tables.entry_mut::<Backend>(Table::Backends, id).unwrap() = first;
        }
        for happening in happenings {
            match happening {
                Happening::Packet(port) => {
                    let known = flows.get(&port).copied().filter(|id| alive.contains(id));
                    let flags = if known.is_some() { "ack" } else { "syn" };
                    let (outcome, _) = send(
                        &tables,
                        &format!("ip4 src=198.51.100.7 dst=192.0.2.1 df / tcp sport={port} dport=80 {flags}"),
                    );
                    if let Some(id) = known {
                        prop_assert_eq!(outcome.backend, id, "flow {} was moved", port);
                    } else if now != 0 {
                        prop_assert_eq!(outcome.reason, Reason::SentEncapsulated);
                        prop_assert!(alive.contains(&outcome.backend), "a flow began on a dead backend");
                        flows.insert(port, outcome.backend);
                    }
                }
                Happening::Change(id) if alive.contains(&id) => {
                    if before == 0 && now != id {
                        before = now;
                    }
                    now = id;
                }
                Happening::Death(id) => {
                    alive.remove(&id);
                    tables.entry_mut::<Backend>(Table::Backends, id).unwrap().flags.0 |=
                        BackendFlags::DEAD;
                    if now == id {
                        now = alive.first().copied().unwrap_or(0);
                    }
                    // Flows may be remembered, so a moving slot goes on moving.
                    if before != 0 && !alive.contains(&before) {
                        before = now;
                    }
                }
                Happening::Change(_) => {}
            }
            let word = Slot { now, before }.word();
            tables.entry::<Shared64>(Table::Slots, 0).unwrap().set(word);
        }
    }

    /// Flows to a translated service have ports of their own, the answer of each comes back to its client, and
    /// when the ports are used up the rest is refused, none delivered wrongly.
    #[test]
    fn translated_flows_never_share_a_port(
        clients in prop::collection::btree_set((1u8..=250, 1024u16..60_000), 1..80),
        ipv6 in any::<bool>(),
    ) {
        let tables = scenario::tables();
        let mut ports: BTreeMap<u16, (u8, u16)> = BTreeMap::new();
        let mut refused = 0;
        let (ip, l4) = if ipv6 { ("ip6", 54) } else { ("ip4", 34) };
        let client = |host: u8| {
            if ipv6 { format!("2001:db8:1::{host:x}") } else { format!("198.51.100.{host}") }
        };
        let (vip, pool, backend) = if ipv6 {
            ("2001:db8::3", "fd00:9::1", "fd00::2a")
        } else {
            ("192.0.2.3", "10.9.0.1", "10.0.0.40")
        };
        for &(host, sport) in &clients {
            let text = format!("{ip} src={} dst={vip} / tcp sport={sport} dport=80 syn", client(host));
            let (outcome, bytes) = send(&tables, &text);
            if outcome.reason == Reason::DropNatExhausted {
                refused += 1;
                continue;
            }
            prop_assert_eq!(outcome.reason, Reason::SentTranslated);
            let port = u16::from_be_bytes([bytes[l4], bytes[l4 + 1]]);
            prop_assert!((4096..4112).contains(&port));
            prop_assert_eq!(ports.insert(port, (host, sport)), None, "port {} has two flows", port);
        }
        // One set of sixteen ports: nobody is refused before they are used up.
        prop_assert_eq!(ports.len(), clients.len().min(16));
        prop_assert_eq!(refused, clients.len() - ports.len());
        for (port, (host, sport)) in ports {
            let text = format!("eth src=b40 / {ip} src={backend} dst={pool} / tcp sport=8080 dport={port} ack");
            let (outcome, bytes) = send(&tables, &text);
            prop_assert_eq!(outcome.reason, Reason::SentReply);
            let ttl = if ipv6 { "hop=63" } else { "ttl=63" };
            let expected = format!(
                "eth src=gateway dst=router / {ip} src={vip} dst={} {ttl} / tcp sport=80 dport={sport} ack",
                client(host)
            );
            prop_assert_eq!(bytes, build(&expected, &Variables::new()).unwrap());
        }
    }

    /// Every fragment of a datagram goes where the first one went, whatever comes between.
    #[test]
    fn fragments_follow_the_first(datagrams in prop::collection::vec((1u8..=250, 1u16..60_000, any::<u16>()), 1..20)) {
        let tables = scenario::tables();
        let mut first = BTreeMap::new();
        for (host, port, id) in datagrams {
            let (outcome, _) = send(&tables, &format!(
                "ip4 src=198.51.100.{host} dst=192.0.2.20 mf id={id} / tcp sport={port} dport=80 ack whole=900 / data 100"
            ));
            prop_assert_eq!(outcome.reason, Reason::SentEncapsulated);
            first.insert((host, id), outcome.backend);
        }
        for ((host, id), backend) in first {
            let (outcome, _) = send(&tables, &format!(
                "ip4 src=198.51.100.{host} dst=192.0.2.20 off=15 id={id} proto=6 / data 780"
            ));
            prop_assert!(outcome.backend == backend || outcome.reason == Reason::DropFragmentUnknown);
        }
    }
}
