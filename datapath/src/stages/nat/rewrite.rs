//! Changing addresses and ports of a packet and correcting its checksums.

use super::super::{Flow, Fragmented};
use crate::{
    Packet,
    abi::Address,
    packet::{
        Delta,
        wire::{Ipv4, Ipv6, Tcp, Udp, protocol},
    },
};

/// The addresses and ports that a packet gets.
pub(crate) struct Rewrite<'a> {
    pub(crate) source: &'a Address,
    pub(crate) destination: &'a Address,
    /// Source port above destination port, in network order; not used for later fragments.
    pub(crate) ports: u32,
}

impl Rewrite<'_> {
    /// Rewrites the packet and takes one off its TTL or hop limit, which the caller has found to be above one.
    #[inline(always)]
    pub(crate) fn apply<const V6: bool, P: Packet>(
        &self,
        packet: &mut P,
        flow: &Flow,
    ) -> Option<()> {
        let addresses = rewrite_ip::<V6, P>(packet, flow.l3, self.source, self.destination)?;
        if flow.fragmented == Fragmented::Later {
            return Some(());
        }
        if flow.protocol == protocol::TCP {
            let tcp: &mut Tcp = packet.at_mut(flow.l4)?;
            tcp.checksum = addresses.word(tcp.ports.get(), self.ports).apply(tcp.checksum);
            tcp.ports.set(self.ports);
        } else {
            let udp: &mut Udp = packet.at_mut(flow.l4)?;
            udp.checksum = addresses.word(udp.ports.get(), self.ports).apply_udp(udp.checksum);
            udp.ports.set(self.ports);
        }
        Some(())
    }
}

/// Gives the IP header at `l3` new addresses and takes one off its TTL or hop limit. Returns what the change
/// of the addresses means for checksums over the pseudo header.
#[inline(always)]
pub(crate) fn rewrite_ip<const V6: bool, P: Packet>(
    packet: &mut P,
    l3: usize,
    source: &Address,
    destination: &Address,
) -> Option<Delta> {
    if V6 {
        let ip: &mut Ipv6 = packet.at_mut(l3)?;
        let delta = Delta::new()
            .address(&ip.source.get(), source)
            .address(&ip.destination.get(), destination);
        ip.source.set(source);
        ip.destination.set(destination);
        ip.hop_limit = ip.hop_limit.wrapping_sub(1);
        return Some(delta);
    }
    let ip: &mut Ipv4 = packet.at_mut(l3)?;
    let delta =
        Delta::new().word(ip.source.get(), source[0]).word(ip.destination.get(), destination[0]);
    let ttl = ip.ttl.wrapping_sub(1);
    let hop = Delta::new()
        .half(u16::from_ne_bytes([ip.ttl, ip.protocol]), u16::from_ne_bytes([ttl, ip.protocol]));
    ip.checksum = delta.and(hop).apply(ip.checksum);
    ip.ttl = ttl;
    ip.source.set(source[0]);
    ip.destination.set(destination[0]);
    Some(delta)
}

/// TTL or hop limit of the IP header at `l3`.
#[inline(always)]
pub(crate) fn hop_limit<const V6: bool, P: Packet>(packet: &P, l3: usize) -> Option<u8> {
    if V6 {
        packet.at::<Ipv6>(l3).map(|ip| ip.hop_limit)
    } else {
        packet.at::<Ipv4>(l3).map(|ip| ip.ttl)
    }
}
