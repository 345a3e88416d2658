use super::{Flow, Fragmented, Frame, transport::transport};
use crate::{
    Packet,
    abi::Reason,
    packet::wire::{IPV4_DONT_FRAGMENT, IPV4_MORE, IPV4_OFFSET, Ipv4},
};

/// Reads an IPv4 header and the transport header behind it.
#[inline(always)]
pub(crate) fn ipv4<P: Packet>(packet: &P, frame: Frame, flow: &mut Flow) -> Result<(), Reason> {
    let l3 = frame.l3;
    let ip: &Ipv4 = packet.at(l3).ok_or(Reason::DropIpv4Truncated)?;
    if ip.version_ihl >> 4 != 4 {
        return Err(Reason::DropIpv4Version);
    }
    let header = usize::from(ip.version_ihl & 15) * 4;
    let length = u16::from_be(ip.length);
    if header < size_of::<Ipv4>() || header > usize::from(length) {
        return Err(Reason::DropIpv4HeaderLength);
    }
    if l3 + usize::from(length) > packet.len() {
        return Err(Reason::DropIpv4Length);
    }
    flow.fragmented = if ip.fragment & IPV4_OFFSET != 0 {
        Fragmented::Later
    } else if ip.fragment & IPV4_MORE != 0 {
        Fragmented::First
    } else {
        Fragmented::Whole
    };
    flow.l3 = l3;
    flow.l4 = l3 + header;
    flow.source[0] = ip.source.get();
    flow.destination[0] = ip.destination.get();
    flow.length = length;
    flow.protocol = ip.protocol;
    flow.tos = ip.tos;
    flow.dont_fragment = ip.fragment & IPV4_DONT_FRAGMENT != 0;
    flow.id = u32::from(ip.id);
    flow.vlan = frame.vlan;
    transport(packet, flow)
}
