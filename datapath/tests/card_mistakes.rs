//! Mistakes in what a card holds and in what it does: each of them, planted into an emulated card that is right
//! otherwise, is found by sending packets. So the tests of the emulated card would find them in the code.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod card;
mod support;

use card::{
    directed,
    pair::{Fault, Pair},
    subset::{Key, Prefix, Wanted, candidates, prefixes},
    writer::{prefix_write, service_write},
};
use sluice_datapath::{
    abi::{
        Backend, BackendFlags, CARD_LENGTHS, CardBackend, CardFlags, CardLength, CardService,
        CardServiceKey4, CardServiceKey6, CardSettings, CardSlot, Features, PrefilterControl,
        ServiceFlags, Shared64, Slot, Table, VipLine, address4, address6, port_key,
    },
    card::CardVerdict,
    native::{
        CardWrite, MemoryTables,
        generator::{Generator, Numbers},
        scenario::{self, index_of, rows},
    },
};
use std::net::IpAddr;
use support::{
    corpus::fresh,
    frame::{Variables, build},
};

/// Packets after which a mistake counts as not found.
const PATIENCE: u64 = 20_000;

/// A mistake: its name, the features of the gateway, and how it is made.
type Mistake = (&'static str, u32, fn(&mut Pair));

const NO_PREFILTER: u32 = Features::ALL & !(Features::PREFILTER4 | Features::PREFILTER6);

const IN_THE_TABLES: &[Mistake] = &[
    ("backend: addresses of the tunnel exchanged", NO_PREFILTER, |pair| {
        backend(pair, "dsr4-tcp", |b| (b.address, b.tunnel_source) = (b.tunnel_source, b.address));
    }),
    ("backend: addresses of an IPv6 tunnel exchanged", NO_PREFILTER, |pair| {
        backend(pair, "dsr6-tcp", |b| (b.address, b.tunnel_source) = (b.tunnel_source, b.address));
    }),
    ("backend: hardware addresses exchanged", NO_PREFILTER, |pair| {
        backend(pair, "dsr4-tcp", |b| (b.next_hop, b.source_mac) = (b.source_mac, b.next_hop));
    }),
    ("backend: hardware address in the wrong byte order", NO_PREFILTER, |pair| {
        backend(pair, "dsr4-tcp", |b| b.next_hop = b.next_hop.map(u16::swap_bytes));
    }),
    ("backend: address in the wrong byte order", NO_PREFILTER, |pair| {
        backend(pair, "dsr4-tcp", |b| b.address[0] = b.address[0].swap_bytes());
    }),
    ("backend: words of an IPv6 address in the wrong order", NO_PREFILTER, |pair| {
        backend(pair, "dsr6-tcp", |b| b.address.reverse());
    }),
    ("backend: tag in the wrong byte order", NO_PREFILTER, |pair| {
        backend(pair, "tagged4", |b| b.vlan = b.vlan.swap_bytes());
    }),
    ("backend: tag forgotten", NO_PREFILTER, |pair| {
        backend(pair, "tagged6", |b| b.vlan = 0);
    }),
    ("backend: longest packet one byte too long", NO_PREFILTER, |pair| {
        backend(pair, "small4-tcp", |b| b.max_length += 1);
    }),
    ("backend: longest packet with the outer header", NO_PREFILTER, |pair| {
        backend(pair, "dsr6-tcp", |b| b.max_length += 40);
    }),
    ("backend: family of the tunnel forgotten", NO_PREFILTER, |pair| {
        backend(pair, "dsr4in6-tcp", |b| b.flags.0 &= !BackendFlags::IPV6);
    }),
    ("backend: next hop has changed on the host only", NO_PREFILTER, |pair| {
        on_hosts(pair, |tables| host_backend(tables, "dsr4-tcp").next_hop = [7, 7, 7]);
    }),
    ("backend: next hop is lost on the host only", NO_PREFILTER, |pair| {
        on_hosts(pair, |tables| {
            host_backend(tables, "dsr4-tcp").flags.0 &= !BackendFlags::RESOLVED;
        });
    }),
    ("backend: on another link on the host", NO_PREFILTER, |pair| {
        on_hosts(pair, |tables| host_backend(tables, "dsr4-tcp").ifindex = scenario::OTHER_LINK);
    }),
    ("slots: two exchanged", NO_PREFILTER, |pair| {
        let (base, first, second) = two_slots(pair, "dsr4-many");
        pair.write(CardWrite::Slot(base, second));
        pair.write(CardWrite::Slot(base + 1, first));
    }),
    ("slots: one of another service", NO_PREFILTER, |pair| {
        let (base, ..) = two_slots(pair, "dsr4-many");
        let other = pair.writer.place_of(key_of("dsr4-tcp")).unwrap().2;
        pair.write(CardWrite::Slot(base, CardSlot::new(*other.values().next().unwrap())));
    }),
    ("slots: counted from zero", NO_PREFILTER, |pair| {
        let (base, first, second) = two_slots(pair, "dsr6-many");
        let (at, slot) = if first.0 > second.0 { (base, first) } else { (base + 1, second) };
        pair.write(CardWrite::Slot(at, CardSlot(slot.0 - 1)));
    }),
    ("slots: a moving one left on the card", NO_PREFILTER, |pair| {
        let at = first_slot("dsr4-tcp");
        on_hosts(pair, |tables| {
            let word = Slot { now: 7, before: 1 }.word();
            tables.entry::<Shared64>(Table::Slots, at).unwrap().set(word);
        });
    }),
    ("slots: a changed one left on the card", NO_PREFILTER, |pair| {
        let at = first_slot("dsr6-many") + 5;
        on_hosts(pair, |tables| {
            let word = Slot { now: 3, before: 0 }.word();
            tables.entry::<Shared64>(Table::Slots, at).unwrap().set(word);
        });
    }),
    ("service: first slot off by one", NO_PREFILTER, |pair| {
        service(pair, "dsr4-many", |s| s.base += 1);
    }),
    ("service: two of the slots", NO_PREFILTER, |pair| {
        service(pair, "dsr4-many", |s| s.mask = 1);
    }),
    ("service: number of slots for the mask", NO_PREFILTER, |pair| {
        service(pair, "dsr4-many", |s| s.mask += 1);
    }),
    ("service: affinity forgotten", NO_PREFILTER, |pair| {
        service(pair, "affine4", |s| s.flags.0 = 0);
    }),
    ("service: affinity where there is none", NO_PREFILTER, |pair| {
        service(pair, "dsr6-many", |s| s.flags.0 = ServiceFlags::AFFINITY);
    }),
    ("service: port in the wrong byte order", NO_PREFILTER, |pair| {
        also_at(pair, "dsr4-tcp", |key| {
            swapped(key, |_, port| {
                *port = port_key(6, (*port as u16).swap_bytes());
            })
        });
    }),
    ("service: port off by one", NO_PREFILTER, |pair| {
        also_at(pair, "dsr6-tcp", |key| swapped(key, |_, port| *port += 1));
    }),
    ("service: protocol forgotten", NO_PREFILTER, |pair| {
        also_at(pair, "dsr4-tcp", |key| swapped(key, |_, port| *port = port_key(17, *port as u16)));
    }),
    ("service: address in the wrong byte order", NO_PREFILTER, |pair| {
        also_at(pair, "dsr4-tcp", |key| swapped(key, |words, _| words[0] = words[0].swap_bytes()));
    }),
    ("service: halves of an IPv6 address exchanged", NO_PREFILTER, |pair| {
        also_at(pair, "dsr6-tcp", |key| swapped(key, |words, _| words.rotate_left(2)));
    }),
    ("service: gone on the host only", NO_PREFILTER, |pair| {
        on_hosts(pair, |tables| {
            for index in 0..64 {
                let line: &mut VipLine = tables.entry_mut(Table::Vip4, index).unwrap();
                if line.address == words(service_row("dsr4-tcp").address) {
                    line.ports = Default::default();
                }
            }
        });
    }),
    ("service: one with allowed sources", NO_PREFILTER, |pair| foreign(pair, "sources4")),
    ("service: one that translates", NO_PREFILTER, |pair| foreign(pair, "nat4-tcp")),
    ("service: one that refuses", NO_PREFILTER, |pair| foreign(pair, "refused")),
    ("service: one whose flows move", NO_PREFILTER, |pair| foreign(pair, "moving-tcp")),
    ("service: asked before the whole prefilter is there", Features::ALL, |pair| {
        let lost = denied(pair, 0, 24);
        pair.write(prefix_write(&lost, false));
    }),
    ("prefix: allow inside a deny forgotten", Features::ALL, |pair| {
        for prefix in prefixes(&pair.alone).into_iter().filter(|prefix| !prefix.deny) {
            pair.write(prefix_write(&prefix, false));
        }
    }),
    ("prefix: mask one bit too short", Features::ALL, |pair| {
        widen(pair, 0, 24);
    }),
    ("prefix: IPv6 mask one bit too short", Features::ALL, |pair| {
        widen(pair, 1, 48);
    }),
    ("prefix: address in the wrong byte order", Features::ALL, |pair| {
        let prefix = denied(pair, 0, 24);
        without_services(pair);
        pair.write(prefix_write(&prefix, false));
        let turned = prefix.address[0].swap_bytes() & mask(24);
        pair.write(prefix_write(&Prefix { address: [turned, 0, 0, 0], ..prefix }, true));
    }),
    ("prefix: what it says turned round", Features::ALL, |pair| {
        for prefix in prefixes(&pair.alone).into_iter().filter(|p| p.family == 1 && !p.deny) {
            pair.write(prefix_write(&Prefix { deny: true, ..prefix }, true));
        }
    }),
    ("prefix: gone on the host only", Features::ALL, |pair| {
        on_hosts(pair, |tables| {
            let control: &PrefilterControl = tables.entry(Table::PrefilterControl, 0).unwrap();
            // The other half is empty.
            control.active4.set(1);
            control.active6.set(1);
        });
    }),
    ("lengths: shortest first", Features::ALL, |pair| {
        settings(pair, 0, |s| {
            let used = s.lengths.iter().filter(|length| length.bits().is_some()).count();
            s.lengths[..used].reverse();
        });
    }),
    ("lengths: one forgotten", Features::ALL, |pair| {
        settings(pair, 1, |s| {
            let kept: Vec<_> = s.lengths.iter().copied().filter(|l| l.bits() != Some(64)).collect();
            s.lengths = [CardLength::UNUSED; CARD_LENGTHS];
            s.lengths[..kept.len()].copy_from_slice(&kept);
        });
    }),
    ("settings: the prefilter off and the services on", Features::ALL, |pair| {
        settings(pair, 0, |s| s.flags.0 &= !CardFlags::PREFILTER);
    }),
    ("settings: flows that user space hears of", NO_PREFILTER, |pair| {
        settings(pair, 0, |s| s.flags.0 &= !CardFlags::SAMPLE);
    }),
    ("settings: mask of the flows one bit too long", NO_PREFILTER, |pair| {
        settings(pair, 1, |s| s.sample_mask = s.sample_mask << 1 | 1);
    }),
];

/// What the card's program does otherwise: before it (it sees another packet), or after it.
const IN_THE_PROGRAM: &[(&str, Fault)] = &[
    (
        "program: looks behind a VLAN tag",
        seen(|frame| {
            if frame.get(12..14) == Some(&[0x81, 0]) && frame.len() > 18 {
                frame.drain(12..16);
            }
        }),
    ),
    (
        "program: takes first fragments",
        seen(|frame| {
            if is4(frame) && frame.len() > 22 && frame[20] & 0x20 != 0 {
                frame[20] &= !0x20;
            }
        }),
    ),
    (
        "program: takes later fragments",
        seen(|frame| {
            if is4(frame) && frame.len() > 22 {
                frame[20] &= 0xe0;
                frame[21] = 0;
            }
        }),
    ),
    (
        "program: does not look at the length of UDP",
        seen(|frame| {
            if is4(frame) && frame.len() > 42 && frame[23] == 17 && frame[14] == 0x45 {
                let length = u16::from_be_bytes([frame[16], frame[17]]).saturating_sub(20);
                frame[38..40].copy_from_slice(&length.to_be_bytes());
            }
        }),
    ),
    (
        "program: does not look at the length of IPv4",
        seen(|frame| {
            if is4(frame) && frame.len() > 34 {
                let length = (frame.len() - 14) as u16;
                frame[16..18].copy_from_slice(&length.to_be_bytes());
            }
        }),
    ),
    (
        "program: takes hop-by-hop options off",
        seen(|frame| {
            if frame.get(12..14) == Some(&[0x86, 0xdd]) && frame.len() > 62 && frame[20] == 0 {
                frame[20] = frame[54];
                let length = u16::from_be_bytes([frame[18], frame[19]]).saturating_sub(8);
                frame[18..20].copy_from_slice(&length.to_be_bytes());
                frame.drain(54..62);
            }
        }),
    ),
    (
        "program: another TTL in the outer header",
        sent(|frame| {
            if is4(frame) {
                frame[22] -= 1;
            }
        }),
    ),
    (
        "program: another hop limit in the outer header",
        sent(|frame| {
            if !is4(frame) {
                frame[21] -= 1;
            }
        }),
    ),
    (
        "program: no checksum in the outer header",
        sent(|frame| {
            if is4(frame) {
                frame[24..26].fill(0);
            }
        }),
    ),
    (
        "program: length of the outer header without itself",
        sent(|frame| {
            if is4(frame) {
                let length = u16::from_be_bytes([frame[16], frame[17]]) - 20;
                frame[16..18].copy_from_slice(&length.to_be_bytes());
            }
        }),
    ),
    (
        "program: type of service not kept",
        sent(|frame| {
            if is4(frame) {
                frame[15] = 0;
            }
        }),
    ),
    (
        "program: 'don't fragment' not kept",
        sent(|frame| {
            if is4(frame) {
                frame[20] ^= 0x40;
            }
        }),
    ),
    (
        "program: no flow label in the outer header",
        sent(|frame| {
            if frame.get(12..14) == Some(&[0x86, 0xdd]) {
                frame[15] &= 0xf0;
                frame[16..18].fill(0);
            }
        }),
    ),
    (
        "program: TTL of the packet itself",
        sent(|frame| {
            if is4(frame) && frame[23] == 4 {
                frame[42] = frame[42].wrapping_sub(1);
            }
        }),
    ),
    (
        "program: cuts what stands behind the packet",
        sent(|frame| {
            if is4(frame) {
                let length = usize::from(u16::from_be_bytes([frame[16], frame[17]])) + 14;
                frame.truncate(length);
            }
        }),
    ),
    (
        "program: tag of the way forgotten",
        sent(|frame| {
            if frame.get(12..14) == Some(&[0x81, 0]) {
                frame.drain(12..16);
            }
        }),
    ),
    (
        "program: drops what it doesn't know",
        answers(|verdict, _| match verdict {
            CardVerdict::Pass => CardVerdict::Drop,
            other => other,
        }),
    ),
    (
        "program: sends back what it denies",
        answers(|verdict, _| match verdict {
            CardVerdict::Drop => CardVerdict::Transmit,
            other => other,
        }),
    ),
    (
        "program: passes on what it has encapsulated",
        answers(|verdict, _| match verdict {
            CardVerdict::Transmit => CardVerdict::Pass,
            other => other,
        }),
    ),
    (
        "program: passes a packet that it has changed",
        answers(|verdict, frame| {
            if verdict == CardVerdict::Pass {
                frame[5] ^= 1;
            }
            verdict
        }),
    ),
];

const fn seen(seen: fn(&mut Vec<u8>)) -> Fault {
    Fault { seen, ..Fault::NONE }
}

const fn sent(sent: fn(&mut Vec<u8>)) -> Fault {
    Fault { sent, ..Fault::NONE }
}

const fn answers(answered: fn(CardVerdict, &mut Vec<u8>) -> CardVerdict) -> Fault {
    Fault { answered, ..Fault::NONE }
}

#[test]
fn every_mistake_in_the_tables_is_found() {
    let missed: Vec<&str> = IN_THE_TABLES
        .iter()
        .filter(|(name, features, plant)| {
            let mut pair = full_card(*features);
            plant(&mut pair);
            !is_found(name, &mut pair)
        })
        .map(|(name, ..)| *name)
        .collect();
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[test]
fn every_mistake_in_the_program_is_found() {
    let mut missed = Vec::new();
    for (name, fault) in IN_THE_PROGRAM {
        let found = [NO_PREFILTER, Features::ALL].into_iter().any(|features| {
            let mut pair = full_card(features);
            pair.fault = Some(*fault);
            is_found(name, &mut pair)
        });
        if !found {
            missed.push(name);
        }
    }
    assert!(missed.is_empty(), "not found: {missed:#?}");
}

#[test]
fn without_a_mistake_nothing_is_found() {
    for features in [NO_PREFILTER, Features::ALL] {
        assert!(!is_found("no mistake", &mut full_card(features)));
    }
    let all = IN_THE_TABLES.iter().map(|mistake| mistake.0);
    let names: std::collections::BTreeSet<_> =
        all.chain(IN_THE_PROGRAM.iter().map(|mistake| mistake.0)).collect();
    assert_eq!(names.len(), IN_THE_TABLES.len() + IN_THE_PROGRAM.len(), "names are unique");
    assert!(names.len() >= 60);
}

/// A card that holds all that it may.
fn full_card(features: u32) -> Pair {
    let tables = || {
        let mut tables = fresh();
        tables.settings.features = Features(features);
        tables
    };
    let mut pair = Pair::new(tables, Pair::full_room());
    let wanted = Wanted::choose(&pair.alone, &Pair::full_room(), 100, &mut Numbers::new(1));
    assert_eq!(wanted.services.len(), candidates(&pair.alone).len());
    pair.change(&wanted, |_| {}, |_| {});
    pair
}

/// Whether packets tell that the card makes a mistake.
fn is_found(name: &str, pair: &mut Pair) -> bool {
    for (number, text) in (1..).zip(directed::texts()) {
        let frame = build(&text, &Variables::new()).expect(&text);
        if pair.packet(&frame).is_err() {
            println!("{name}: found by packet {number}, {text}");
            return true;
        }
    }
    let mut generator = Generator::zipf(5);
    for number in 1..=PATIENCE {
        let frame = generator.next_frame();
        match pair.packet(&frame) {
            Ok(outcome) => generator.sent(outcome.reason, pair.sent()),
            Err(_) => {
                println!("{name}: found by generated packet {number}");
                return true;
            }
        }
    }
    if let Err(difference) = pair.same_counts() {
        println!("{name}: found by the counters, {difference}");
        return true;
    }
    false
}

fn service_row(name: &str) -> scenario::ServiceRow {
    rows().into_iter().find(|row| row.name == name).unwrap()
}

fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => address4(address),
        IpAddr::V6(address) => address6(address),
    }
}

fn key_of(name: &str) -> Key {
    let row = service_row(name);
    let (address, port) = (words(row.address), port_key(row.protocol, row.ports.0));
    if row.address.is_ipv6() {
        Key::V6(CardServiceKey6 { address, port })
    } else {
        Key::V4(CardServiceKey4 { address: address[0], port })
    }
}

fn first_slot(name: &str) -> u32 {
    let before = rows().into_iter().take_while(|row| row.name != name);
    before.map(|row| row.slots.len() as u32).sum()
}

fn host_backend<'t>(tables: &'t mut MemoryTables, name: &str) -> &'t mut Backend {
    tables.entry_mut(Table::Backends, service_row(name).slots[0].0).unwrap()
}

fn on_hosts(pair: &mut Pair, change: impl Fn(&mut MemoryTables)) {
    change(&mut pair.alone);
    change(&mut pair.behind);
}

/// Writes the first backend of a service anew.
fn backend(pair: &mut Pair, name: &str, change: fn(&mut CardBackend)) {
    let (id, index) = pair.writer.place_of(key_of(name)).unwrap().2.into_iter().next().unwrap();
    let mut entry = CardBackend::copy_of(id, host_backend(&mut pair.alone, name));
    change(&mut entry);
    pair.write(CardWrite::Backend(index, entry));
}

fn service(pair: &mut Pair, name: &str, change: fn(&mut CardService)) {
    let mut entry = pair.writer.place_of(key_of(name)).unwrap().1;
    change(&mut entry);
    pair.write(service_write(key_of(name), Some(entry)));
}

fn settings(pair: &mut Pair, family: u32, change: fn(&mut CardSettings)) {
    let mut entry = pair.writer.settings(family);
    change(&mut entry);
    pair.write(CardWrite::Settings(family, entry));
}

/// First slot of a service, and what stands in it and in the next.
fn two_slots(pair: &Pair, name: &str) -> (u32, CardSlot, CardSlot) {
    let (base, _, backends) = pair.writer.place_of(key_of(name)).unwrap();
    let row = service_row(name);
    let slot = |at: usize| CardSlot::new(backends[&row.slots[at].0]);
    (base, slot(0), slot(1))
}

/// The service under another key instead of one that must make room for it.
fn also_at(pair: &mut Pair, name: &str, key: fn(Key) -> Key) {
    let entry = pair.writer.place_of(key_of(name)).unwrap().1;
    pair.write(service_write(key_of(name), None));
    pair.write(service_write(key(key_of(name)), Some(entry)));
}

fn swapped(key: Key, change: impl Fn(&mut [u32], &mut u32)) -> Key {
    match key {
        Key::V4(CardServiceKey4 { address, mut port }) => {
            let mut words = [address];
            change(&mut words, &mut port);
            Key::V4(CardServiceKey4 { address: words[0], port })
        }
        Key::V6(CardServiceKey6 { mut address, mut port }) => {
            change(&mut address, &mut port);
            Key::V6(CardServiceKey6 { address, port })
        }
    }
}

/// A service that no card may hold, in the place of one that it holds.
fn foreign(pair: &mut Pair, name: &str) {
    assert!(index_of(name).is_some());
    assert!(!candidates(&pair.alone).contains_key(&key_of(name)));
    let entry = pair.writer.place_of(key_of("dsr4-tcp")).unwrap().1;
    pair.write(service_write(key_of("dsr4-tcp"), None));
    pair.write(service_write(key_of(name), Some(entry)));
}

fn mask(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0).to_be()
}

fn denied(pair: &Pair, family: u32, bits: u32) -> Prefix {
    let mut all = prefixes(&pair.alone).into_iter();
    all.find(|p| p.family == family && p.bits == bits && p.deny).unwrap()
}

/// Mistakes in prefixes shall show in what is denied, not in what is sent.
fn without_services(pair: &mut Pair) {
    for family in [CardSettings::IPV4, CardSettings::IPV6] {
        settings(pair, family, |s| s.flags.0 &= !CardFlags::SERVICE);
    }
}

/// The deny of this length covers twice as much.
fn widen(pair: &mut Pair, family: u32, bits: u32) {
    let prefix = denied(pair, family, bits);
    let wide = bits - 1;
    let mut address = prefix.address;
    if family == CardSettings::IPV6 {
        address[1] &= mask(wide - 32);
    } else {
        address[0] &= mask(wide);
    }
    pair.write(prefix_write(&prefix, false));
    pair.write(prefix_write(&Prefix { bits: wide, address, ..prefix }, true));
    let mut entry = pair.writer.settings(family);
    entry.flags.0 &= !CardFlags::SERVICE;
    for length in entry.lengths.iter_mut().filter(|length| length.bits() == Some(bits)) {
        *length = CardLength::new(wide);
    }
    pair.write(CardWrite::Settings(family, entry));
}

fn is4(frame: &[u8]) -> bool {
    frame.get(12..14) == Some(&[8, 0])
}
