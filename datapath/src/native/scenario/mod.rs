//! A standard configuration, written by hand: every kind of service, backend and prefix that the datapath knows.
//!
//! Native tests, packet fixtures and the comparison with the kernel's programs all use it, so that a packet
//! means the same in each of them. The planner is not asked: a mistake there shall not hide one here.

mod build;
mod prefilter;
mod services;

pub use build::{
    GATEWAY, OTHER_GATEWAY, ROUTER, backend_address, backend_mac, hardware, tunnel_source,
};
pub use prefilter::{Prefix, fill_prefilter};
pub use services::{ServiceRow, index_of, rows};

use super::MemoryTables;
use crate::abi::{Features, Limit, NAT_INDICES_PER_ADDRESS, NAT_PORTS, Reason, Settings, Table};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The link that packets come in by.
pub const LINK: u32 = 10;
/// The other link, where some backends are.
pub const OTHER_LINK: u32 = 11;

/// Lines of each table of addresses, of remembered flows and of fragments.
const LINES: u32 = 64;
/// Lines of one half of each prefilter table.
const PREFILTER_LINES: u32 = 64;
/// The pool addresses by number.
pub const POOL: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(10, 9, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 1)),
];
/// Records up to the highest port that a pool of the scenario uses.
const NAT_RECORDS: u32 = 2 * NAT_INDICES_PER_ADDRESS + NAT_PORTS + 8192;

/// The settings of the standard configuration: every feature, and a tick that stands still, as no two programs
/// read the kernel's clock at the same moment. Time is told by the ticks in the tables instead.
pub const SETTINGS: Settings = Settings {
    features: Features(Features::ALL),
    ifindex: LINK,
    mtu: 1500,
    tick_shift: 40,
    vip4_mask: LINES - 1,
    vip6_mask: LINES - 1,
    remembered_mask: LINES - 1,
    fragment_mask: LINES - 1,
    fragment_ticks: 20,
    prefilter4_half: PREFILTER_LINES,
    prefilter6_half: PREFILTER_LINES,
    prefilter_hit_mask: 63,
    drop_events_per_tick: u32::MAX,
    flow_sample_shift: 2,
    icmp_per_tick: u32::MAX,
};

/// How many entries each table of the standard configuration has (bytes for the ring).
pub fn sizes() -> Vec<(Table, u32)> {
    vec![
        (Table::Vip4, LINES),
        (Table::Vip6, LINES),
        (Table::PortRanges, 16),
        (Table::Services, 64),
        (Table::ServiceNames, 64),
        (Table::Slots, 512),
        (Table::Moves, 512),
        (Table::Backends, 128),
        (Table::Sources4, 16),
        (Table::Sources6, 16),
        (Table::Remembered, LINES),
        (Table::Fragments, LINES),
        (Table::NatPool, POOL.len() as u32),
        (Table::NatTags, NAT_RECORDS / 16),
        (Table::NatRecords, NAT_RECORDS),
        (Table::PrefilterControl, 1),
        (Table::Prefilter4Header, 2),
        (Table::Prefilter4Bitmap, 1 << 18),
        (Table::Prefilter4Lines, 2 * PREFILTER_LINES),
        (Table::Prefilter6Header, 2),
        (Table::Prefilter6Bitmap, 1 << 18),
        (Table::Prefilter6Lines, 2 * PREFILTER_LINES),
        (Table::PrefilterHits, 64),
        (Table::Counts, Reason::COUNT as u32),
        (Table::BackendCounts, 128),
        (Table::ServiceCounts, 64),
        (Table::Limits, Limit::COUNT),
        (Table::Events, 1 << 16),
    ]
}

/// The tables of the standard configuration.
pub fn tables() -> MemoryTables {
    let mut tables = MemoryTables::new(SETTINGS, sizes());
    build::fill(&mut tables, &rows());
    fill_prefilter(&mut tables, 0, &PREFIXES);
    tables
}

const fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(a, b, c, d))
}

const fn v6(a: u16, b: u16, c: u16, d: u16, h: u16) -> IpAddr {
    IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, h))
}

/// The prefixes of the standard configuration: each family has a denied one, an allowed one in it, and a denied
/// one in that. IPv6 has lengths on both sides of the /48 of its first level.
pub const PREFIXES: [Prefix; 9] = [
    Prefix { address: v4(203, 0, 113, 0), bits: 24, deny: true },
    Prefix { address: v4(203, 0, 113, 64), bits: 26, deny: false },
    Prefix { address: v4(203, 0, 113, 77), bits: 32, deny: true },
    Prefix { address: v4(100, 64, 0, 0), bits: 10, deny: true },
    Prefix { address: v6(0x2001, 0xdb8, 0xbad, 0, 0), bits: 48, deny: true },
    Prefix { address: v6(0x2001, 0xdb8, 0xbad, 1, 0), bits: 64, deny: false },
    Prefix { address: v6(0x2001, 0xdb8, 0xbad, 1, 7), bits: 128, deny: true },
    Prefix { address: v6(0x3fff, 0, 0, 0, 0), bits: 20, deny: true },
    Prefix { address: v6(0x3fff, 0x8, 0, 0, 0), bits: 32, deny: false },
];
