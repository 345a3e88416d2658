//! Delivery by direct server return: the packet travels to the backend in a tunnel (RFC 2003, RFC 2473), the
//! backend answers the client itself.

use super::{Flow, ethernet::NextHop, too_big};
use crate::{
    Outcome, Packet, Tables,
    abi::{Address, Backend, BackendFlags, CardBackend, Reason, ServiceCounter},
    packet::{
        Delta,
        wire::{ETH_IPV4, ETH_IPV6, IPV4_DONT_FRAGMENT, Ipv4, Ipv6, protocol},
    },
};

/// TTL and hop limit of the outer header (RFC 1700's default).
const OUTER_TTL: u8 = 64;

/// Sends the packet to a backend in an outer header of the backend's family.
#[inline(always)]
pub(crate) fn encapsulate<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    id: u32,
    reason: Reason,
    tables: &T,
) -> Outcome {
    let Some(backend) = tables.backend(id) else { return Outcome::end(Reason::DropInternal) };
    if !backend.flags.has(BackendFlags::RESOLVED) {
        return Outcome::refuse(tables, backend.service, ServiceCounter::NoNextHop);
    }
    if flow.length > backend.max_length {
        return too_big::defer(backend.service, backend.max_length, tables);
    }
    let bytes = packet.len() as u64;
    if into_tunnel::<V6, P>(packet, flow, &Tunnel::of(backend)).is_none() {
        return Outcome::end(Reason::DropHeadroom);
    }
    tables.with_backend_count(id, |count| {
        count.forward.packets += 1;
        count.forward.bytes += bytes;
    });
    Outcome::send(reason, backend.ifindex, backend.service, id)
}

/// Where a tunnel begins and ends, and the first step of the way.
pub(crate) struct Tunnel<'a> {
    next_hop: NextHop<'a>,
    source: &'a Address,
    destination: &'a Address,
    flags: BackendFlags,
}

impl<'a> Tunnel<'a> {
    /// To a backend of the host's tables.
    #[inline(always)]
    fn of(backend: &'a Backend) -> Self {
        Self {
            next_hop: NextHop::of(backend),
            source: &backend.tunnel_source,
            destination: &backend.address,
            flags: backend.flags,
        }
    }

    /// To a backend of a card's tables.
    #[inline(always)]
    pub(crate) fn of_card(backend: &'a CardBackend) -> Self {
        Self {
            next_hop: NextHop {
                destination: &backend.next_hop,
                source: &backend.source_mac,
                vlan: backend.vlan,
            },
            source: &backend.tunnel_source,
            destination: &backend.address,
            flags: backend.flags,
        }
    }
}

/// Puts an outer header of the tunnel's family and a new link-layer header in front of the packet. `None` if there is
/// no room: the packet is unchanged then.
#[inline(always)]
pub(crate) fn into_tunnel<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    tunnel: &Tunnel<'_>,
) -> Option<()> {
    if V6 || tunnel.flags.has(BackendFlags::IPV6) {
        outer6::<V6, P>(packet, flow, tunnel)
    } else {
        outer4(packet, flow, tunnel)
    }
}

/// Makes room for the new link-layer and outer headers, writes the former, and says where the latter begins.
#[inline(always)]
fn make_room<P: Packet>(
    packet: &mut P,
    flow: &Flow,
    next_hop: &NextHop<'_>,
    outer: usize,
    ethertype: u16,
) -> Option<usize> {
    let l2 = next_hop.len();
    let grow = (outer + l2) as i32 - flow.l3 as i32;
    if !packet.adjust_head(-grow) {
        return None;
    }
    next_hop.write(packet, ethertype)?;
    Some(l2)
}

#[inline(always)]
fn outer4<P: Packet>(packet: &mut P, flow: &Flow, tunnel: &Tunnel<'_>) -> Option<()> {
    let l2 = make_room(packet, flow, &tunnel.next_hop, size_of::<Ipv4>(), ETH_IPV4)?;
    let length = flow.length.wrapping_add(size_of::<Ipv4>() as u16).to_be();
    // RFC 2003: 'don't fragment' of the inner header is kept. Where the way may fragment, the inner
    // identification tells the pieces of one packet from those of another.
    let (id, fragment) =
        if flow.dont_fragment { (0, IPV4_DONT_FRAGMENT) } else { (flow.id as u16, 0) };
    let ip: &mut Ipv4 = packet.at_mut(l2)?;
    ip.version_ihl = 0x45;
    ip.tos = flow.tos;
    ip.length = length;
    ip.id = id;
    ip.fragment = fragment;
    ip.ttl = OUTER_TTL;
    ip.protocol = protocol::IPIP;
    ip.checksum = Delta::new()
        .sum_half(u16::from_ne_bytes([0x45, flow.tos]))
        .sum_half(length)
        .sum_half(id)
        .sum_half(fragment)
        .sum_half(u16::from_ne_bytes([OUTER_TTL, protocol::IPIP]))
        .sum(tunnel.source[0])
        .sum(tunnel.destination[0])
        .checksum();
    ip.source.set(tunnel.source[0]);
    ip.destination.set(tunnel.destination[0]);
    Some(())
}

#[inline(always)]
fn outer6<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    tunnel: &Tunnel<'_>,
) -> Option<()> {
    // The flow label lets routers spread the flows of one tunnel (RFC 6438).
    let label = flow.hash::<V6>().low & 0x000f_ffff;
    let l2 = make_room(packet, flow, &tunnel.next_hop, size_of::<Ipv6>(), ETH_IPV6)?;
    let ip: &mut Ipv6 = packet.at_mut(l2)?;
    let class = 6 << 12 | u16::from(flow.tos) << 4 | (label >> 16) as u16;
    ip.version_class = class.to_be();
    ip.flow = (label as u16).to_be();
    ip.length = flow.length.to_be();
    ip.next = if V6 { protocol::IPV6 } else { protocol::IPIP };
    ip.hop_limit = OUTER_TTL;
    ip.source.set(tunnel.source);
    ip.destination.set(tunnel.destination);
    Some(())
}
