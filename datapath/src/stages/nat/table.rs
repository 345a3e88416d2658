//! Finding and claiming the record of a flow.

use super::super::{Flow, flow::same};
use crate::{
    Tables,
    abi::{NAT_INDICES_PER_ADDRESS, NAT_PORTS, NAT_WAYS, NatPool, NatRecord, NatState},
    hash::{FlowHash, finish},
    opaque::settle,
    packet::wire::{destination_port, protocol, source_port},
};

/// A flow's hash names this many sets.
const CHOICES: u32 = 2;

/// First record of one of the sets that a flow may stand in.
#[inline(always)]
fn set(pool: &NatPool, hash: FlowHash, choice: u32, udp: bool) -> u32 {
    let pick = if choice == 0 { finish(hash.low) } else { finish(hash.high()) };
    let scale = |pick: u32, count: u16| ((u64::from(pick) * u64::from(count)) >> 32) as u32;
    let address = u32::from(pool.first) + scale(hash.low, pool.addresses);
    let set = u32::from(pool.set_low) + scale(pick, pool.set_count);
    let first = address * NAT_INDICES_PER_ADDRESS + if udp { NAT_PORTS } else { 0 };
    first.wrapping_add(set * NAT_WAYS as u32)
}

/// The tag of a flow; never zero, which is free.
#[inline(always)]
fn tag(hash: FlowHash) -> u32 {
    match hash.high() {
        0 => 1,
        tag => tag,
    }
}

/// The index of the record of a flow towards a service.
#[inline(always)]
pub(crate) fn find<const V6: bool, T: Tables>(
    flow: &Flow,
    service: u32,
    pool: &NatPool,
    tables: &T,
) -> Option<u32> {
    let hash = flow.hash::<V6>();
    let udp = flow.protocol == protocol::UDP;
    for choice in 0..CHOICES {
        let first = set(pool, hash, choice, udp);
        let Some(way) = way_of(first, tag(hash), tables) else { continue };
        let index = first + way;
        let record = tables.nat_record(index)?;
        if is_record_of::<V6>(record, flow, service) {
            return Some(index);
        }
    }
    None
}

/// The way of a set that carries a tag.
#[inline(always)]
fn way_of<T: Tables>(first: u32, tag: u32, tables: &T) -> Option<u32> {
    let line = tables.nat_tags(first / NAT_WAYS as u32)?;
    for way in 0..NAT_WAYS {
        if line.tags.get(way)?.get() == tag {
            return Some(way as u32);
        }
    }
    None
}

#[inline(always)]
fn is_record_of<const V6: bool>(record: &NatRecord, flow: &Flow, service: u32) -> bool {
    record.state.get() & NatState::USED != 0
        && record.service == service
        && record.client_port == source_port(flow.ports)
        && record.service_port == destination_port(flow.ports)
        && same::<V6>(&record.client, &flow.source)
}

/// Takes a free port for a flow: its index, or none if both sets are full.
#[inline(never)]
pub(super) fn claim<T: Tables>(
    pool: &NatPool,
    hash: FlowHash,
    udp: bool,
    tables: &T,
) -> Option<u32> {
    // The emptier set first: so sets fill evenly, and hardly any flow finds both full before nearly all ports are used.
    let room = |choice| free_ways(set(pool, hash, choice, udp), tables);
    let emptier = u32::from(room(1) > room(0));
    for step in 0..CHOICES {
        let first = set(pool, hash, emptier ^ step, udp);
        if let Some(way) = take_free(first, hash, tables) {
            return Some(first + way);
        }
    }
    // No free port: one whose connection has ended is as good, though its TIME-WAIT may still run.
    for choice in 0..CHOICES {
        let first = set(pool, hash, choice, udp);
        if let Some(way) = take_closed(first, hash, tables) {
            return Some(first + way);
        }
    }
    None
}

/// How many ports of a set are free.
#[inline(always)]
fn free_ways<T: Tables>(first: u32, tables: &T) -> u32 {
    let Some(line) = tables.nat_tags(first / NAT_WAYS as u32) else { return 0 };
    let mut used = 0;
    for tag in &line.tags {
        // One for every tag but zero. Without a comparison: the verifier would follow both of its ways, 2^32 in all.
        used += settle(tag.get() as usize + u32::MAX as usize) >> 32;
    }
    (NAT_WAYS - used) as u32
}

#[inline(always)]
fn take_free<T: Tables>(first: u32, hash: FlowHash, tables: &T) -> Option<u32> {
    // A tag stands in a set once: `find` looks no further. Who makes flows with equal hashes only hurts himself.
    if way_of(first, tag(hash), tables).is_some() {
        return None;
    }
    let line = tables.nat_tags(first / NAT_WAYS as u32)?;
    // Begins at another way for each flow: a port that was just freed is not the first to be used again.
    let start = hash.low as usize;
    for step in 0..NAT_WAYS {
        let way = start.wrapping_add(step) % NAT_WAYS;
        let word = line.tags.get(way)?;
        if word.get() == 0 && word.replace(0, tag(hash)) {
            return Some(way as u32);
        }
    }
    None
}

#[inline(always)]
fn take_closed<T: Tables>(first: u32, hash: FlowHash, tables: &T) -> Option<u32> {
    const BOTH: u32 = NatState::CLIENT_FIN | NatState::BACKEND_FIN;
    if way_of(first, tag(hash), tables).is_some() {
        return None;
    }
    let line = tables.nat_tags(first / NAT_WAYS as u32)?;
    for way in 0..NAT_WAYS {
        let state = tables.nat_record(first + way as u32)?.state.get();
        let closed = state & NatState::RESET != 0 || state & BOTH == BOTH;
        let word = line.tags.get(way)?;
        let old = word.get();
        if closed && old != 0 && word.replace(old, tag(hash)) {
            return Some(way as u32);
        }
    }
    None
}
