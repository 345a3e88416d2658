//! From the backend back to the client.

use super::{
    super::{Flow, Fragmented, ethernet::NextHop, flow::same, fragment::remember, too_big},
    backend_port,
    forward::touch,
    rewrite::{Rewrite, hop_limit},
    send,
};
use crate::{
    Mode, Outcome, Packet, Tables,
    abi::{Backend, FragmentTarget, NAT_PORTS, NatRecord, NatState, Reason, VipLine},
    packet::wire::{destination_port, ports, protocol, source_port},
};

/// A packet to a pool address.
#[inline(always)]
pub(crate) fn reply<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    vip: &VipLine,
    tables: &T,
) -> Outcome {
    let port = destination_port(flow.ports);
    let Some((index, record, backend)) = mapping::<V6, T>(vip, flow.protocol, port, tables) else {
        return Outcome::end(Reason::PassNoMapping);
    };
    // Only the backend of the flow may answer on its port.
    if !same::<V6>(&backend.address, &flow.source)
        || backend_port(backend, record) != source_port(flow.ports)
    {
        return Outcome::end(Reason::PassNoMapping);
    }
    if hop_limit::<V6, P>(packet, flow.l3).unwrap_or(0) <= 1 {
        return Outcome::end(Reason::PassHopLimit);
    }
    touch(record, flow, NatState::BACKEND_FIN, tables);
    if MODE != Mode::FAST && flow.fragmented == Fragmented::First {
        remember::<V6, T>(flow, FragmentTarget::Nat(index), tables);
    }
    deliver::<V6, P, T>(packet, flow, record, tables)
}

/// The flow that uses a port (host order) of a pool address, and its backend.
#[inline(always)]
pub(crate) fn mapping<'t, const V6: bool, T: Tables>(
    vip: &VipLine,
    number: u8,
    port: u16,
    tables: &'t T,
) -> Option<(u32, &'t NatRecord, &'t Backend)> {
    let first = vip.nat.wrapping_add(if number == protocol::UDP { NAT_PORTS } else { 0 });
    let index = first.wrapping_add(u32::from(port));
    let record = tables.nat_record(index)?;
    let state = record.state.get();
    if state & NatState::USED == 0 || (state & NatState::IPV6 != 0) != V6 {
        return None;
    }
    Some((index, record, tables.backend(record.backend)?))
}

/// Rewrites the packet and sends it to the client of its record.
#[inline(always)]
pub(super) fn deliver<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    record: &NatRecord,
    tables: &T,
) -> Outcome {
    let Some(service) = tables.service(record.service) else {
        return Outcome::end(Reason::DropInternal);
    };
    if flow.length > record.max_length {
        return too_big::defer(record.service, record.max_length, tables);
    }
    let bytes = packet.len() as u64;
    let rewrite = Rewrite {
        source: &service.address,
        destination: &record.client,
        ports: ports(record.service_port, record.client_port),
    };
    if rewrite.apply::<V6, P>(packet, flow).is_none() {
        return Outcome::end(Reason::DropInternal);
    }
    tables.with_backend_count(record.backend, |count| {
        count.reply.packets += 1;
        count.reply.bytes += bytes;
    });
    let next_hop = NextHop::back(record);
    let ifindex = record.ifindex.get();
    let sent = Outcome::send(Reason::SentReply, ifindex, record.service, record.backend);
    send::<V6, P>(packet, flow, &next_hop, sent)
}
