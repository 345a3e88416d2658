//! From the client to the backend.

use super::{
    super::{
        Flow, Fragmented, ethernet::NextHop, flow::same, fragment::remember, select::slot, too_big,
    },
    rewrite::{Rewrite, hop_limit},
    send,
    table::{claim, find},
};
use crate::{
    Defer, Mode, Outcome, Packet, Tables,
    abi::{
        Backend, BackendFlags, FragmentTarget, Mac, NAT_INDICES_PER_ADDRESS, NO_BACKEND, NatRecord,
        NatState, Reason, Service, ServiceCounter, nat_index_port,
    },
    packet::wire::{Ethernet, destination_port, ports, protocol, source_port, tcp},
};

/// A packet to a service that translates, of a flow that has begun.
#[inline(always)]
pub(crate) fn forward<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    service_index: u32,
    service: &Service,
    tables: &T,
) -> Outcome {
    if hop_limit::<V6, P>(packet, flow.l3).unwrap_or(0) <= 1 {
        return Outcome::end(Reason::PassHopLimit);
    }
    let index = match find::<V6, T>(flow, service_index, &service.pool, tables) {
        Some(index) if !restarts::<T>(index, flow, tables) => index,
        _ => return Outcome::defer(Defer::Open),
    };
    let Some(record) = tables.nat_record(index) else {
        return Outcome::end(Reason::DropInternal);
    };
    touch(record, flow, NatState::CLIENT_FIN, tables);
    if MODE != Mode::FAST && flow.fragmented == Fragmented::First {
        remember::<V6, T>(flow, FragmentTarget::Nat(index), tables);
    }
    deliver::<V6, P, T>(packet, flow, index, record, tables)
}

/// A later fragment of a translated datagram, in either direction.
#[inline(always)]
pub(crate) fn fragment<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    index: u32,
    is_reply: bool,
    tables: &T,
) -> Outcome {
    if hop_limit::<V6, P>(packet, flow.l3).unwrap_or(0) <= 1 {
        return Outcome::end(Reason::PassHopLimit);
    }
    let Some(record) = tables.nat_record(index) else {
        return Outcome::end(Reason::DropInternal);
    };
    if record.state.get() & NatState::USED == 0 {
        return Outcome::end(Reason::DropFragmentUnknown);
    }
    // An address of the pool may serve as well: who sent the fragment tells its direction.
    if is_reply && !same::<V6>(&record.client, &flow.source) {
        super::reply::deliver::<V6, P, T>(packet, flow, record, tables)
    } else {
        deliver::<V6, P, T>(packet, flow, index, record, tables)
    }
}

/// Notes that the flow is alive, and what a TCP packet says of its end.
#[inline(always)]
pub(super) fn touch<T: Tables>(record: &NatRecord, flow: &Flow, fin: u32, tables: &T) {
    record.seen.refresh(tables.now());
    let state = record.state.get();
    let mut new = state;
    if flow.tcp_flags & tcp::FIN != 0 {
        new |= fin;
    }
    if flow.tcp_flags & tcp::RST != 0 {
        new |= NatState::RESET;
    }
    if fin == NatState::BACKEND_FIN {
        new |= NatState::REPLIED;
    }
    record.state.refresh(new);
}

/// Whether the packet begins a new connection on the ports of an ended one, or of one whose backend died.
#[inline(always)]
fn restarts<T: Tables>(index: u32, flow: &Flow, tables: &T) -> bool {
    const BOTH: u32 = NatState::CLIENT_FIN | NatState::BACKEND_FIN;
    let Some(record) = tables.nat_record(index) else { return false };
    let state = record.state.get();
    let ended = state & NatState::RESET != 0 || state & BOTH == BOTH;
    if ended && flow.is_syn() {
        return true;
    }
    let dead = tables.backend(record.backend).is_none_or(|backend| {
        backend.flags.has(BackendFlags::DEAD) || !backend.flags.has(BackendFlags::USED)
    });
    dead && (flow.is_syn() || flow.protocol == protocol::UDP)
}

/// A flow that begins: takes backend and port and writes the record. The packet itself is delivered as any
/// other of the flow.
#[inline(always)]
pub(crate) fn open<const V6: bool, P: Packet, T: Tables>(
    packet: &P,
    flow: &Flow,
    service_index: u32,
    service: &Service,
    tables: &T,
) -> Outcome {
    match begin::<V6, P, T>(packet, flow, service_index, service, tables) {
        Ok(()) => Outcome::defer(Defer::Nat),
        Err(counter) => Outcome::refuse(tables, service_index, counter),
    }
}

#[inline(always)]
fn begin<const V6: bool, P: Packet, T: Tables>(
    packet: &P,
    flow: &Flow,
    service_index: u32,
    service: &Service,
    tables: &T,
) -> Result<(), ServiceCounter> {
    let udp = flow.protocol == protocol::UDP;
    if !udp && !flow.is_syn() {
        return Err(ServiceCounter::NatUnknownFlow);
    }
    let hash = flow.hash::<V6>();
    let (_, slot) = slot::<V6, T>(flow, hash, service, tables).ok_or(ServiceCounter::NoBackend)?;
    // Translated flows are in the table of records whatever their slot does: only new ones ask it.
    let alive = tables.backend(slot.now).is_some_and(|backend| {
        backend.flags.has(BackendFlags::USED) && !backend.flags.has(BackendFlags::DEAD)
    });
    if slot.now == NO_BACKEND || !alive {
        return Err(ServiceCounter::NoBackend);
    }
    // A flow that begins anew on the ports of an old one takes over its record.
    let index = match find::<V6, T>(flow, service_index, &service.pool, tables) {
        Some(index) => index,
        None => claim(&service.pool, hash, udp, tables).ok_or(ServiceCounter::NatExhausted)?,
    };
    let ethernet: &Ethernet = packet.at(0).ok_or(ServiceCounter::NatUnknownFlow)?;
    let (from, to): (Mac, Mac) = (read(&ethernet.source), read(&ethernet.destination));
    let settings = tables.settings();
    tables.claim_nat_record(index, |record| {
        record.client[0] = flow.source[0];
        record.client[1] = flow.source[1];
        record.client[2] = flow.source[2];
        record.client[3] = flow.source[3];
        record.client_port = source_port(flow.ports);
        record.service_port = destination_port(flow.ports);
        record.service = service_index;
        record.backend = slot.now;
        record.ifindex.set(settings.ifindex);
        write(&from, &mut record.next_hop);
        write(&to, &mut record.source_mac);
        record.vlan = flow.vlan;
        record.max_length = settings.mtu.min(u32::from(u16::MAX)) as u16;
        record.seen.set(tables.now());
        let kind = if udp { NatState::UDP } else { 0 } | if V6 { NatState::IPV6 } else { 0 };
        record.state.set(NatState::USED | kind);
    });
    Ok(())
}

#[inline(always)]
fn read(mac: &Mac) -> Mac {
    [mac[0], mac[1], mac[2]]
}

#[inline(always)]
fn write(from: &Mac, to: &mut Mac) {
    to[0] = from[0];
    to[1] = from[1];
    to[2] = from[2];
}

/// Rewrites the packet and sends it to the backend of its record.
#[inline(always)]
fn deliver<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    index: u32,
    record: &NatRecord,
    tables: &T,
) -> Outcome {
    let Some(backend) = tables.backend(record.backend) else {
        return Outcome::end(Reason::DropInternal);
    };
    if let Some(counter) = unusable(backend) {
        return Outcome::refuse(tables, record.service, counter);
    }
    if flow.length > backend.max_length {
        return too_big::defer(record.service, backend.max_length, tables);
    }
    let Some(pool) = tables.nat_pool(index / NAT_INDICES_PER_ADDRESS) else {
        return Outcome::end(Reason::DropInternal);
    };
    let bytes = packet.len() as u64;
    let rewrite = Rewrite {
        source: pool,
        destination: &backend.address,
        ports: ports(nat_index_port(index), super::backend_port(backend, record)),
    };
    if rewrite.apply::<V6, P>(packet, flow).is_none() {
        return Outcome::end(Reason::DropInternal);
    }
    tables.with_backend_count(record.backend, |count| {
        count.forward.packets += 1;
        count.forward.bytes += bytes;
    });
    let next_hop = NextHop::of(backend);
    let sent =
        Outcome::send(Reason::SentTranslated, backend.ifindex, record.service, record.backend);
    send::<V6, P>(packet, flow, &next_hop, sent)
}

/// Why a backend can't take a packet of its flow.
#[inline(always)]
fn unusable(backend: &Backend) -> Option<ServiceCounter> {
    if backend.flags.has(BackendFlags::DEAD) || !backend.flags.has(BackendFlags::USED) {
        Some(ServiceCounter::BackendDead)
    } else if !backend.flags.has(BackendFlags::RESOLVED) {
        Some(ServiceCounter::NoNextHop)
    } else {
        None
    }
}
