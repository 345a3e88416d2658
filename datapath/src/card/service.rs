//! Delivery by direct server return from the card: the packet goes back out in a tunnel to its backend.

use super::{CardOutcome, CardTables, CardVerdict, pipeline::end};
use crate::{
    Packet,
    abi::{
        BackendFlags, CardFlags, CardService, CardServiceKey4, CardServiceKey6, CardSettings,
        ServiceFlags, port_key,
    },
    packet::wire::destination_port,
    stages::{Flow, Tunnel, chooser, into_tunnel, samples},
};

/// The service stage and everything behind it.
#[inline(always)]
pub(super) fn run<const V6: bool, P: Packet, T: CardTables>(
    packet: &mut P,
    flow: &Flow,
    settings: &CardSettings,
    tables: &T,
) -> CardVerdict {
    let bytes = packet.len();
    let Some(service) = find::<V6, T>(flow, tables) else {
        return end(tables, CardOutcome::Missed, bytes);
    };
    if settings.flags.has(CardFlags::SAMPLE) && samples::<V6>(flow, settings.sample_mask) {
        return end(tables, CardOutcome::Deferred, bytes);
    }
    match deliver::<V6, P, T>(packet, flow, service, tables) {
        Some(()) => end(tables, CardOutcome::Sent, bytes),
        None if packet.len() == bytes => end(tables, CardOutcome::Deferred, bytes),
        // Grown, and yet without room for the headers: never so, but the verifier doesn't know. The host must not
        // see a packet that has been changed.
        None => CardVerdict::Drop,
    }
}

#[inline(always)]
fn find<'t, const V6: bool, T: CardTables>(flow: &Flow, tables: &'t T) -> Option<&'t CardService> {
    let port = port_key(flow.protocol, destination_port(flow.ports));
    if V6 {
        let [a, b, c, d] = flow.destination;
        tables.service6(&CardServiceKey6 { address: [a, b, c, d], port })
    } else {
        tables.service4(&CardServiceKey4 { address: flow.destination[0], port })
    }
}

/// Sends the packet to the backend of its slot; what the card can't send it leaves as it is.
#[inline(always)]
fn deliver<const V6: bool, P: Packet, T: CardTables>(
    packet: &mut P,
    flow: &Flow,
    service: &CardService,
    tables: &T,
) -> Option<()> {
    let bytes = packet.len();
    let affine = service.flags.has(ServiceFlags::AFFINITY);
    let chosen = chooser::<V6>(flow, flow.hash::<V6>(), affine) & service.mask;
    let index = tables.slot(service.base.wrapping_add(chosen))?.backend()?;
    let backend = tables.backend(index)?;
    if !backend.flags.has(BackendFlags::USED) || flow.length > backend.max_length {
        return None;
    }
    into_tunnel::<V6, P>(packet, flow, &Tunnel::of_card(backend))?;
    tables.count_sent(index, bytes);
    Some(())
}
