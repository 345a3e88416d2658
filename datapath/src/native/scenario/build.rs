//! From rows to table entries.

use super::{
    LINES, LINK, POOL, ServiceRow,
    services::{BackendRow, Delivery},
};
use crate::{
    abi::{
        Address, Backend, BackendFlags, INLINE_PORTS, Mac, Move, NAT_INDICES_PER_ADDRESS, NatPool,
        PortRange, Service, ServiceFlags, Shared64, Slot, SlotRange, SourceRange4, SourceRange6,
        Table, VipFlags, VipLine, VipPort, address4, address6, port_key,
    },
    hash,
    native::MemoryTables,
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Where packets of clients come from.
pub const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 1];
/// The gateway on [`LINK`].
pub const GATEWAY: [u8; 6] = [2, 0, 0, 0, 0, 10];
/// The gateway on [`super::OTHER_LINK`].
pub const OTHER_GATEWAY: [u8; 6] = [2, 0, 0, 0, 0, 11];

/// The next hop of a backend.
pub const fn backend_mac(id: u32) -> [u8; 6] {
    [2, 0, 0, 0, 1, id as u8]
}

/// A hardware address as the tables have it.
pub fn hardware(mac: [u8; 6]) -> Mac {
    let [a, b, c, d, e, f] = mac;
    [u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]), u16::from_ne_bytes([e, f])]
}

/// The address of a backend.
pub fn backend_address(id: u32, ipv6: bool) -> IpAddr {
    if ipv6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, id as u16).into()
    } else {
        Ipv4Addr::new(10, 0, 0, id as u8).into()
    }
}

/// The gateway's own address in tunnels.
pub fn tunnel_source(ipv6: bool) -> IpAddr {
    backend_address(254, ipv6)
}

fn address(ip: IpAddr) -> Address {
    match ip {
        IpAddr::V4(ip) => address4(ip),
        IpAddr::V6(ip) => address6(ip),
    }
}

/// Writes the services, their backends and the pool to empty tables.
pub(super) fn fill(tables: &mut MemoryTables, rows: &[ServiceRow]) {
    let mut next = Next::default();
    let mut vips: BTreeMap<IpAddr, Vec<(ServiceRow, u32)>> = BTreeMap::new();
    for (index, row) in (0..).zip(rows) {
        service(tables, row, index, &mut next);
        vips.entry(row.address).or_default().push((row.clone(), index));
    }
    for (&ip, services) in &vips {
        virtual_address(tables, ip, services, &mut next);
    }
    for (number, &ip) in (0..).zip(&POOL) {
        put(tables, Table::NatPool, number, address(ip));
        let flags = VipFlags(VipFlags::USED | VipFlags::POOL);
        let nat = number * NAT_INDICES_PER_ADDRESS;
        insert(
            tables,
            ip.is_ipv6(),
            VipLine { address: address(ip), flags, nat, ..VipLine::default() },
        );
    }
}

/// The first entries that are free.
#[derive(Default)]
struct Next {
    slot: u32,
    source4: u32,
    source6: u32,
    range: u32,
}

fn put<T: crate::abi::Plain>(tables: &mut MemoryTables, table: Table, index: u32, value: T) {
    match tables.entry_mut(table, index) {
        Some(entry) => *entry = value,
        None => panic!("{} has no entry {index}", table.name()),
    }
}

fn service(tables: &mut MemoryTables, row: &ServiceRow, index: u32, next: &mut Next) {
    let (base, mask) = (next.slot, row.slots.len() as u32 - 1);
    let ipv6 = row.address.is_ipv6();
    let mut flags = ServiceFlags::USED | if ipv6 { ServiceFlags::IPV6 } else { 0 };
    let mut pool = NatPool::default();
    if let Delivery::Translate { first, addresses, set_low, set_count } = row.delivery {
        flags |= ServiceFlags::NAT;
        pool = NatPool { first, addresses, set_low, set_count };
    }
    if row.affinity {
        flags |= ServiceFlags::AFFINITY;
    }
    if row.slots.iter().all(|slot| *slot == (0, 0)) {
        flags |= ServiceFlags::REFUSE;
    }
    for &(now, before) in &row.slots {
        put(tables, Table::Slots, next.slot, Shared64::new(Slot { now, before }.word()));
        let clock = Move::default();
        clock.since.set(0u32.wrapping_sub(row.moving_ticks));
        put(tables, Table::Moves, next.slot, clock);
        next.slot += 1;
        for id in [now, before] {
            if id != 0 {
                put(tables, Table::Backends, id, backend(row, id, index));
            }
        }
    }
    let sources = if ipv6 { next.source6 } else { next.source4 };
    if !row.sources.is_empty() {
        flags |= ServiceFlags::SOURCES;
        row.sources.iter().for_each(|source| allow(tables, *source, next));
    }
    let entry = Service {
        slots: Shared64::new(SlotRange { base, mask }.word()),
        flags: ServiceFlags(flags),
        sources,
        source_count: row.sources.len() as u32,
        idle_ticks: 50,
        grace_ticks: 10,
        pool,
        address: address(row.address),
        reserved: [0; 3],
    };
    put(tables, Table::Services, index, entry);
}

fn backend(row: &ServiceRow, id: u32, service: u32) -> Backend {
    let BackendRow { ipv6, port, vlan, ifindex, max_length, resolved, dead } = row.backends;
    let ipv6 = ipv6 || row.address.is_ipv6();
    let mut flags = BackendFlags::USED | if ipv6 { BackendFlags::IPV6 } else { 0 };
    if resolved {
        flags |= BackendFlags::RESOLVED;
    }
    if dead.contains(&id) {
        flags |= BackendFlags::DEAD;
    }
    let usual = match row.delivery {
        Delivery::Translate { .. } => 1500,
        Delivery::Tunnel if ipv6 => 1460,
        Delivery::Tunnel => 1480,
    };
    Backend {
        address: address(backend_address(id, ipv6)),
        tunnel_source: address(tunnel_source(ipv6)),
        next_hop: hardware(backend_mac(id)),
        vlan: vlan.to_be(),
        source_mac: hardware(if ifindex == LINK { GATEWAY } else { OTHER_GATEWAY }),
        max_length: if max_length == 0 { usual } else { max_length },
        ifindex,
        flags: BackendFlags(flags),
        service,
        port,
        reserved: 0,
    }
}

fn allow(tables: &mut MemoryTables, source: (IpAddr, IpAddr), next: &mut Next) {
    let halves = |ip: Ipv6Addr| [(ip.to_bits() >> 64) as u64, ip.to_bits() as u64];
    match source {
        (IpAddr::V4(low), IpAddr::V4(high)) => {
            let range = SourceRange4 { low: low.to_bits(), high: high.to_bits() };
            put(tables, Table::Sources4, next.source4, range);
            next.source4 += 1;
        }
        (IpAddr::V6(low), IpAddr::V6(high)) => {
            let range = SourceRange6 { low: halves(low), high: halves(high) };
            put(tables, Table::Sources6, next.source6, range);
            next.source6 += 1;
        }
        mixed => panic!("{mixed:?}: a range has one family"),
    }
}

/// Single ports stand in the line itself, unless the address has a range: then all of them are ranges.
fn virtual_address(
    tables: &mut MemoryTables,
    ip: IpAddr,
    services: &[(ServiceRow, u32)],
    next: &mut Next,
) {
    let mut line = VipLine { address: address(ip), ..VipLine::default() };
    line.flags.0 = VipFlags::USED | VipFlags::SERVICES;
    let single = services.iter().all(|(row, _)| row.ports.0 == row.ports.1);
    if single && services.len() <= INLINE_PORTS {
        for (port, (row, service)) in line.ports.iter_mut().zip(services) {
            *port = VipPort { key: port_key(row.protocol, row.ports.0), service: *service };
        }
    } else {
        let mut ranges: Vec<PortRange> = services
            .iter()
            .map(|(row, service)| PortRange {
                low: port_key(row.protocol, row.ports.0),
                high: port_key(row.protocol, row.ports.1),
                service: *service,
                reserved: 0,
            })
            .collect();
        ranges.sort_by_key(|range| range.low);
        line.flags.0 |= VipFlags::RANGES;
        (line.ranges, line.range_count) = (next.range, ranges.len() as u32);
        for range in ranges {
            put(tables, Table::PortRanges, next.range, range);
            next.range += 1;
        }
    }
    insert(tables, ip.is_ipv6(), line);
}

fn insert(tables: &mut MemoryTables, ipv6: bool, line: VipLine) {
    let table = if ipv6 { Table::Vip6 } else { Table::Vip4 };
    let mut at = hash::address(&line.address, ipv6) & (LINES - 1);
    while tables.entry::<VipLine>(table, at).is_some_and(|entry| entry.flags.0 != 0) {
        at = (at + 1) & (LINES - 1);
    }
    put(tables, table, at, line);
}
