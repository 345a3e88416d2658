//! The services of the standard configuration, a row each. The index of a service is the number of its row.

use crate::packet::wire::protocol::{TCP, UDP};
use std::net::IpAddr;

/// One service and its backends.
#[derive(Clone, Debug)]
pub struct ServiceRow {
    /// Its name.
    pub name: &'static str,
    /// The virtual address.
    pub address: IpAddr,
    /// TCP or UDP.
    pub protocol: u8,
    /// First and last port.
    pub ports: (u16, u16),
    /// How packets are delivered.
    pub delivery: Delivery,
    /// `(now, before)` of each slot.
    pub slots: Vec<(u32, u32)>,
    /// How long ago the slots began to move, in ticks.
    pub moving_ticks: u32,
    /// The slot is chosen by the source alone.
    pub affinity: bool,
    /// Allowed sources, if not all are: first and last address.
    pub sources: Vec<(IpAddr, IpAddr)>,
    /// What is special about its backends.
    pub backends: BackendRow,
}

/// How packets are delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In a tunnel.
    Tunnel,
    /// Translated to these pool addresses and sets of ports.
    Translate {
        /// Number of the first pool address.
        first: u16,
        /// How many addresses.
        addresses: u16,
        /// First set.
        set_low: u16,
        /// How many sets.
        set_count: u16,
    },
}

/// What is special about the backends of a service.
#[derive(Clone, Copy, Debug)]
pub struct BackendRow {
    /// Their address is IPv6 although the service's is not.
    pub ipv6: bool,
    /// Their port; zero for the packet's.
    pub port: u16,
    /// VLAN identifier of the next hop.
    pub vlan: u16,
    /// The link where they are.
    pub ifindex: u32,
    /// Longest packet; zero for the usual.
    pub max_length: u16,
    /// The next hop is known.
    pub resolved: bool,
    /// The dead ones.
    pub dead: &'static [u32],
}

const ON_LINK: BackendRow = BackendRow {
    ipv6: false,
    port: 0,
    vlan: 0,
    ifindex: super::LINK,
    max_length: 0,
    resolved: true,
    dead: &[],
};
const ON_OTHER: BackendRow = BackendRow { ifindex: super::OTHER_LINK, ..ON_LINK };
const PORT_8080: BackendRow = BackendRow { port: 8080, ..ON_OTHER };

fn row(name: &'static str, address: &str, protocol: u8, port: u16, slot: (u32, u32)) -> ServiceRow {
    ServiceRow {
        name,
        address: ip(address),
        protocol,
        ports: (port, port),
        delivery: Delivery::Tunnel,
        slots: vec![slot],
        moving_ticks: 0,
        affinity: false,
        sources: Vec::new(),
        backends: ON_LINK,
    }
}

/// Addresses of the scenario are literals: one that is not an address would be its first bug.
fn ip(text: &str) -> IpAddr {
    match text.parse() {
        Ok(address) => address,
        Err(error) => panic!("{text}: {error}"),
    }
}

/// One set of ports of one pool address.
const fn one_set(first: u16, set_low: u16) -> Delivery {
    Delivery::Translate { first, addresses: 1, set_low, set_count: 1 }
}

/// Slots that share these backends evenly.
fn shared(backends: std::ops::RangeInclusive<u32>, count: usize) -> Vec<(u32, u32)> {
    backends.cycle().take(count).map(|id| (id, 0)).collect()
}

/// The index of a service by its name.
pub fn index_of(name: &str) -> Option<u32> {
    rows().iter().position(|row| row.name == name).map(|index| index as u32)
}

/// All of them.
pub fn rows() -> Vec<ServiceRow> {
    let mut rows = tunnelled();
    rows.extend(special());
    rows.extend(moving());
    rows.extend(translated());
    rows.extend(for_cards());
    rows
}

fn tunnelled() -> Vec<ServiceRow> {
    vec![
        row("dsr4-tcp", "192.0.2.1", TCP, 80, (1, 0)),
        ServiceRow { backends: ON_OTHER, ..row("dsr4-udp", "192.0.2.1", UDP, 53, (2, 0)) },
        row("dsr6-tcp", "2001:db8::1", TCP, 80, (3, 0)),
        ServiceRow { backends: ON_OTHER, ..row("dsr6-udp", "2001:db8::1", UDP, 53, (4, 0)) },
        ServiceRow {
            backends: BackendRow { ipv6: true, ..ON_LINK },
            ..row("dsr4in6-tcp", "192.0.2.2", TCP, 80, (5, 0))
        },
        ServiceRow {
            backends: BackendRow { ipv6: true, ..ON_LINK },
            ..row("dsr4in6-udp", "192.0.2.2", UDP, 53, (6, 0))
        },
        ServiceRow { slots: shared(7..=10, 64), ..row("dsr4-many", "192.0.2.20", TCP, 80, (0, 0)) },
        ServiceRow {
            slots: shared(11..=12, 64),
            ..row("dsr6-many", "2001:db8::20", TCP, 80, (0, 0))
        },
    ]
}

/// What a card can take and is not among the others: affinity at one port, and tags on the link itself.
fn for_cards() -> Vec<ServiceRow> {
    let affine = |slots, row: ServiceRow| ServiceRow { slots, affinity: true, ..row };
    let tagged =
        |row: ServiceRow| ServiceRow { backends: BackendRow { vlan: 300, ..ON_LINK }, ..row };
    vec![
        affine(shared(67..=68, 8), row("affine4", "192.0.2.22", TCP, 80, (0, 0))),
        affine(shared(69..=70, 8), row("affine6", "2001:db8::22", TCP, 80, (0, 0))),
        tagged(row("tagged4", "192.0.2.23", TCP, 80, (71, 0))),
        tagged(row("tagged6", "2001:db8::23", TCP, 80, (72, 0))),
    ]
}

fn special() -> Vec<ServiceRow> {
    let vlan = BackendRow { vlan: 100, ..ON_OTHER };
    let affine = ServiceRow {
        ports: (0, u16::MAX),
        slots: shared(19..=20, 8),
        affinity: true,
        ..row("affinity", "192.0.2.6", TCP, 0, (0, 0))
    };
    let affine6 = ServiceRow { address: ip("2001:db8::6"), name: "affinity6", ..affine.clone() };
    vec![
        ServiceRow { ports: (1000, 1999), ..row("range-tcp", "192.0.2.4", TCP, 0, (13, 0)) },
        ServiceRow { ports: (0, u16::MAX), ..row("any-udp", "192.0.2.4", UDP, 0, (14, 0)) },
        ServiceRow { ports: (443, 443), ..row("exact-tcp", "192.0.2.4", TCP, 0, (15, 0)) },
        ServiceRow { ports: (5000, 5010), ..row("range6", "2001:db8::4", UDP, 0, (16, 0)) },
        ServiceRow {
            sources: vec![
                (ip("198.51.100.0"), ip("198.51.100.127")),
                (ip("198.51.100.200"), ip("198.51.100.200")),
            ],
            ..row("sources4", "192.0.2.5", TCP, 80, (17, 0))
        },
        ServiceRow {
            sources: vec![(ip("2001:db8:1::"), ip("2001:db8:1::ffff:ffff:ffff:ffff"))],
            ..row("sources6", "2001:db8::5", TCP, 80, (18, 0))
        },
        affine,
        ServiceRow { slots: shared(21..=22, 8), ..affine6 },
        row("refused", "192.0.2.7", TCP, 80, (0, 0)),
        ServiceRow {
            backends: BackendRow { resolved: false, ..ON_LINK },
            ..row("unresolved", "192.0.2.8", TCP, 80, (23, 0))
        },
        ServiceRow { backends: vlan, ..row("vlan4", "192.0.2.9", TCP, 80, (24, 0)) },
        ServiceRow { backends: vlan, ..row("vlan6", "2001:db8::9", TCP, 80, (25, 0)) },
        ServiceRow {
            backends: BackendRow { max_length: 576, ..ON_LINK },
            ..row("small4-tcp", "192.0.2.10", TCP, 80, (26, 0))
        },
        ServiceRow {
            backends: BackendRow { max_length: 576, ..ON_LINK },
            ..row("small4-udp", "192.0.2.10", UDP, 53, (27, 0))
        },
        ServiceRow {
            backends: BackendRow { max_length: 1280, ..ON_LINK },
            ..row("small6-tcp", "2001:db8::10", TCP, 80, (28, 0))
        },
    ]
}

fn moving() -> Vec<ServiceRow> {
    let dead = BackendRow { dead: &[32], ..ON_LINK };
    vec![
        row("moving-tcp", "192.0.2.11", TCP, 80, (29, 30)),
        row("moving-udp", "192.0.2.11", UDP, 53, (60, 61)),
        ServiceRow { moving_ticks: 100, ..row("moved-udp", "192.0.2.11", UDP, 54, (62, 63)) },
        ServiceRow { backends: dead, ..row("moving-dead", "192.0.2.12", TCP, 80, (31, 32)) },
        ServiceRow { backends: dead, ..row("moving-same", "192.0.2.12", TCP, 81, (64, 64)) },
        row("moving-out", "192.0.2.12", TCP, 82, (0, 33)),
        row("moving6-tcp", "2001:db8::11", TCP, 80, (34, 35)),
        row("moving6-udp", "2001:db8::11", UDP, 53, (65, 66)),
    ]
}

fn translated() -> Vec<ServiceRow> {
    let nat = |first, set, row: ServiceRow| ServiceRow { delivery: one_set(first, set), ..row };
    let many = |first, addresses, row: ServiceRow| ServiceRow {
        delivery: Delivery::Translate { first, addresses, set_low: 320, set_count: 64 },
        ..row
    };
    let with = |backends, row: ServiceRow| ServiceRow { backends, ..row };
    vec![
        with(PORT_8080, nat(0, 256, row("nat4-tcp", "192.0.2.3", TCP, 80, (40, 0)))),
        with(ON_OTHER, nat(0, 256, row("nat4-udp", "192.0.2.3", UDP, 53, (41, 0)))),
        with(PORT_8080, nat(2, 256, row("nat6-tcp", "2001:db8::3", TCP, 80, (42, 0)))),
        with(ON_OTHER, nat(2, 256, row("nat6-udp", "2001:db8::3", UDP, 53, (43, 0)))),
        with(
            BackendRow { vlan: 200, ..ON_OTHER },
            nat(0, 257, row("nat4-vlan", "192.0.2.13", TCP, 80, (44, 0))),
        ),
        with(
            BackendRow { dead: &[45], ..ON_OTHER },
            nat(0, 258, row("nat4-dead", "192.0.2.13", TCP, 81, (45, 0))),
        ),
        nat(0, 258, row("nat4-refused", "192.0.2.13", TCP, 82, (0, 0))),
        with(
            BackendRow { max_length: 576, ..ON_LINK },
            nat(0, 259, row("nat4-small", "192.0.2.13", TCP, 83, (46, 0))),
        ),
        with(
            BackendRow { resolved: false, ..ON_LINK },
            nat(0, 260, row("nat4-unresolved", "192.0.2.14", TCP, 80, (47, 0))),
        ),
        nat(0, 261, row("nat4-moving", "192.0.2.14", TCP, 81, (48, 49))),
        ServiceRow {
            slots: shared(50..=53, 16),
            ..many(0, 2, row("nat4-many", "192.0.2.21", TCP, 80, (0, 0)))
        },
        ServiceRow {
            slots: shared(54..=55, 16),
            ..many(0, 2, row("nat4-many-udp", "192.0.2.21", UDP, 53, (0, 0)))
        },
        ServiceRow {
            slots: shared(56..=57, 16),
            ..many(2, 1, row("nat6-many", "2001:db8::21", TCP, 80, (0, 0)))
        },
        ServiceRow {
            sources: vec![(ip("198.51.100.0"), ip("198.51.100.127"))],
            ..nat(0, 262, row("nat4-sources", "192.0.2.15", TCP, 80, (58, 0)))
        },
        with(
            BackendRow { max_length: 1280, ..ON_LINK },
            nat(2, 257, row("nat6-small", "2001:db8::13", TCP, 80, (59, 0))),
        ),
    ]
}
