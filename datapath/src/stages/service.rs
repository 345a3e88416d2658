//! Which service a packet is for, and whether it may have it.

use super::{
    Flow, Fragmented, encapsulate::encapsulate, flow::same, fragment, nat, select::select,
};
use crate::{
    Defer, Mode, Outcome, Packet, Tables,
    abi::{
        Address, Features, FragmentTarget, PORT_RANGE_STEPS, PortRange, Reason, SOURCE_STEPS,
        Service, ServiceCounter, ServiceFlags, VIP_PROBES, VipFlags, VipLine, port_key,
    },
    hash,
    packet::wire::{destination_port, protocol},
};

/// TCP and UDP: the service stage and everything behind it.
#[inline(always)]
pub(crate) fn run<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    tables: &T,
) -> Outcome {
    let features = tables.settings().features;
    let Some(vip) = find_vip::<V6, T>(&flow.destination, tables) else {
        return Outcome::end(Reason::PassNotService);
    };
    let key = port_key(flow.protocol, destination_port(flow.ports));
    let Some(index) = find_service(vip, key, tables) else {
        if MODE == Mode::OPEN || !features.has(Features::NAT) || !vip.flags.has(VipFlags::POOL) {
            return Outcome::end(Reason::PassNotService);
        }
        if MODE == Mode::TUNNEL {
            return Outcome::defer(Defer::Nat);
        }
        return nat::reply::<V6, MODE, P, T>(packet, flow, vip, tables);
    };
    let Some(service) = tables.service(index) else {
        return Outcome::end(Reason::DropInternal);
    };
    if MODE == Mode::OPEN {
        return nat::open::<V6, P, T>(packet, flow, index, service, tables);
    }
    let translates = features.has(Features::NAT) && service.flags.has(ServiceFlags::NAT);
    if MODE == Mode::TUNNEL && translates {
        return Outcome::defer(Defer::Nat);
    }
    if features.has(Features::SOURCES)
        && service.flags.has(ServiceFlags::SOURCES)
        && !source_allowed::<V6, T>(&flow.source, service, tables)
    {
        return Outcome::refuse(tables, index, ServiceCounter::SourceNotAllowed);
    }
    if MODE != Mode::TUNNEL && translates {
        return nat::forward::<V6, MODE, P, T>(packet, flow, index, service, tables);
    }
    if MODE == Mode::NAT || !features.has(Features::DSR) {
        return Outcome::end(Reason::DropInternal);
    }
    match select::<V6, T>(flow, index, service, tables) {
        Err(counter) => Outcome::refuse(tables, index, counter),
        Ok(id) => {
            if MODE == Mode::TUNNEL && flow.fragmented == Fragmented::First {
                fragment::remember::<V6, T>(flow, FragmentTarget::Backend(id), tables);
            }
            encapsulate::<V6, P, T>(packet, flow, id, Reason::SentEncapsulated, tables)
        }
    }
}

/// The line of a virtual or pool address.
#[inline(always)]
pub fn find_vip<'t, const V6: bool, T: Tables>(
    address: &Address,
    tables: &'t T,
) -> Option<&'t VipLine> {
    let settings = tables.settings();
    let mask = if V6 { settings.vip6_mask } else { settings.vip4_mask };
    let mut index = hash::address(address, V6) & mask;
    for _ in 0..VIP_PROBES {
        let line = if V6 { tables.vip6(index) } else { tables.vip4(index) }?;
        if line.flags.0 == 0 {
            return None;
        }
        if same::<V6>(&line.address, address) {
            return Some(line);
        }
        index = (index + 1) & mask;
    }
    None
}

/// The index of the service at a [`port_key`] of an address.
#[inline(always)]
pub fn find_service<T: Tables>(vip: &VipLine, key: u32, tables: &T) -> Option<u32> {
    for port in &vip.ports {
        if port.key == key {
            return Some(port.service);
        }
    }
    if tables.settings().features.has(Features::RANGES) && vip.flags.has(VipFlags::RANGES) {
        return find_range(vip.ranges, vip.range_count, key, tables).map(|range| range.service);
    }
    None
}

/// The range that holds `key`, among `count` ascending, disjoint ones from `first` on.
#[inline(always)]
fn find_range<T: Tables>(first: u32, count: u32, key: u32, tables: &T) -> Option<&PortRange> {
    // `low` ranges begin at or below the key; the last of them is the only one that can hold it.
    let (mut low, mut high) = (0, count);
    for _ in 0..=PORT_RANGE_STEPS {
        if low >= high {
            break;
        }
        let middle = low + (high - low) / 2;
        if tables.port_range(first.wrapping_add(middle))?.low <= key {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let range = tables.port_range(first.wrapping_add(low.checked_sub(1)?))?;
    (key <= range.high).then_some(range)
}

#[inline(always)]
fn source_allowed<const V6: bool, T: Tables>(
    source: &Address,
    service: &Service,
    tables: &T,
) -> bool {
    if V6 {
        allowed6(source, service, tables).unwrap_or(false)
    } else {
        allowed4(u32::from_be(source[0]), service, tables).unwrap_or(false)
    }
}

#[inline(always)]
fn allowed4<T: Tables>(source: u32, service: &Service, tables: &T) -> Option<bool> {
    let (mut low, mut high) = (0, service.source_count);
    for _ in 0..=SOURCE_STEPS {
        if low >= high {
            break;
        }
        let middle = low + (high - low) / 2;
        if tables.source4(service.sources.wrapping_add(middle))?.low <= source {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let range = tables.source4(service.sources.wrapping_add(low.checked_sub(1)?))?;
    Some(source <= range.high)
}

#[inline(always)]
fn allowed6<T: Tables>(source: &Address, service: &Service, tables: &T) -> Option<bool> {
    let half = |a: u32, b: u32| u64::from(u32::from_be(a)) << 32 | u64::from(u32::from_be(b));
    let (upper, lower) = (half(source[0], source[1]), half(source[2], source[3]));
    let (mut low, mut high) = (0, service.source_count);
    for _ in 0..=SOURCE_STEPS {
        if low >= high {
            break;
        }
        let middle = low + (high - low) / 2;
        let range = tables.source6(service.sources.wrapping_add(middle))?;
        if range.low[0] < upper || (range.low[0] == upper && range.low[1] <= lower) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    let range = tables.source6(service.sources.wrapping_add(low.checked_sub(1)?))?;
    Some(upper < range.high[0] || (upper == range.high[0] && lower <= range.high[1]))
}

/// Whether a protocol has ports that services are chosen by.
#[inline(always)]
pub(crate) fn has_ports(number: u8) -> bool {
    number == protocol::TCP || number == protocol::UDP
}
