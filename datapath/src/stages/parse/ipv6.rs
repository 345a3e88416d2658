use super::{Flow, Fragmented, Frame, transport::transport};
use crate::{
    Packet,
    abi::Reason,
    packet::wire::{Extension, Fragment, IPV6_MORE, IPV6_OFFSET, Ipv6, protocol},
};

/// How many extension headers are followed. RFC 8504 lets a host stop at some number; Linux has eight known
/// kinds, and no more than six of them in a packet that means well.
const EXTENSIONS: u32 = 6;

/// Reads an IPv6 header, its extension headers, and the transport header behind them. The fast program leaves
/// packets with extension headers to the full one: their protocol is none that it takes.
#[inline(always)]
pub(crate) fn ipv6<const FULL: bool, P: Packet>(
    packet: &P,
    frame: Frame,
    flow: &mut Flow,
) -> Result<(), Reason> {
    let l3 = frame.l3;
    let ip: &Ipv6 = packet.at(l3).ok_or(Reason::DropIpv6Truncated)?;
    let class = u16::from_be(ip.version_class);
    if class >> 12 != 6 {
        return Err(Reason::DropIpv6Version);
    }
    let length = usize::from(u16::from_be(ip.length)) + size_of::<Ipv6>();
    if l3 + length > packet.len() || length > usize::from(u16::MAX) {
        return Err(Reason::DropIpv6Length);
    }
    flow.l3 = l3;
    flow.l4 = l3 + size_of::<Ipv6>();
    flow.source = ip.source.get();
    flow.destination = ip.destination.get();
    flow.length = length as u16;
    flow.protocol = ip.next;
    flow.tos = (class >> 4) as u8;
    flow.dont_fragment = true;
    flow.vlan = frame.vlan;
    if FULL && is_extension(flow.protocol) {
        extensions(packet, flow)?;
    }
    transport(packet, flow)
}

#[inline(always)]
fn is_extension(next: u8) -> bool {
    matches!(
        next,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::DESTINATION_OPTIONS
            | protocol::AUTHENTICATION
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
    )
}

#[inline(always)]
fn extensions<P: Packet>(packet: &P, flow: &mut Flow) -> Result<(), Reason> {
    let end = flow.l3 + usize::from(flow.length);
    for _ in 0..EXTENSIONS {
        match flow.protocol {
            protocol::FRAGMENT => {
                let fragment: &Fragment = packet.at(flow.l4).ok_or(Reason::DropIpv6Extension)?;
                flow.id = fragment.id;
                if fragment.offset & IPV6_OFFSET != 0 {
                    flow.fragmented = Fragmented::Later;
                } else if fragment.offset & IPV6_MORE != 0 {
                    flow.fragmented = Fragmented::First;
                }
                flow.protocol = fragment.next;
                flow.l4 += size_of::<Fragment>();
            }
            next if is_extension(next) => {
                let extension: &Extension = packet.at(flow.l4).ok_or(Reason::DropIpv6Extension)?;
                let units = usize::from(extension.length);
                // RFC 4302: the authentication header counts words of four bytes, less two.
                flow.l4 += if next == protocol::AUTHENTICATION {
                    (units + 2) * 4
                } else {
                    (units + 1) * 8
                };
                flow.protocol = extension.next;
            }
            _ => return Ok(()),
        }
        if flow.l4 > end {
            return Err(Reason::DropIpv6Extension);
        }
        // What follows in a later fragment is payload, whatever the fragment header calls it.
        if flow.fragmented == Fragmented::Later {
            return Ok(());
        }
    }
    if is_extension(flow.protocol) { Err(Reason::DropIpv6ExtensionLimit) } else { Ok(()) }
}
