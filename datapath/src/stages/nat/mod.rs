//! Delivery by translation: the packet goes to the backend's address and port from a pool address and port, the
//! answer comes back to the gateway and is translated back.
//!
//! The port *is* the index of the flow's record, so that a reply finds its record with one read. A request
//! finds it through the tags of the two sets of ports that its hash names.

mod forward;
mod reply;
mod rewrite;
mod table;

pub(crate) use forward::{forward, fragment, open};
pub(crate) use reply::{mapping, reply};
pub(crate) use rewrite::{hop_limit, rewrite_ip};
pub(crate) use table::find;

use super::{Flow, ethernet::NextHop};
use crate::{
    Outcome, Packet,
    abi::{Backend, NatRecord, Reason},
    packet::wire::{ETH_IPV4, ETH_IPV6},
};

impl<'a> NextHop<'a> {
    /// The way back to where the requests of a flow came from.
    #[inline(always)]
    pub(crate) fn back(record: &'a NatRecord) -> Self {
        Self { destination: &record.next_hop, source: &record.source_mac, vlan: record.vlan }
    }
}

/// Puts a new link-layer header in front of a rewritten packet; the outcome is then `sent`.
#[inline(always)]
pub(crate) fn send<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    next_hop: &NextHop,
    sent: Outcome,
) -> Outcome {
    let shift = flow.l3 as i32 - next_hop.len() as i32;
    if shift != 0 && !packet.adjust_head(shift) {
        return Outcome::end(Reason::DropHeadroom);
    }
    match next_hop.write(packet, if V6 { ETH_IPV6 } else { ETH_IPV4 }) {
        Some(()) => sent,
        None => Outcome::end(Reason::DropInternal),
    }
}

/// The port that a backend listens on, host order.
#[inline(always)]
pub(crate) fn backend_port(backend: &Backend, record: &NatRecord) -> u16 {
    if backend.port == 0 { record.service_port } else { backend.port }
}
