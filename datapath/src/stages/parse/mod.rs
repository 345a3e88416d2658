//! From bytes to a [`Flow`]: Ethernet, up to two VLAN tags, IPv4 with options, IPv6 with extension headers, and
//! the transport header. Every length is checked against the frame before anything behind it is read.

mod ipv4;
mod ipv6;
mod transport;

use super::{Flow, flow::Fragmented};
use crate::{
    Packet, Tables,
    abi::{Features, Reason},
    packet::wire::{ETH_IPV4, ETH_IPV6, ETH_SERVICE_VLAN, ETH_VLAN, Ethernet, Vlan},
};

pub(crate) use ipv4::ipv4;
pub(crate) use ipv6::ipv6;

/// The network layer of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

/// Length of the IPv6 header.
pub(crate) const IPV6_HEADER: usize = size_of::<crate::packet::wire::Ipv6>();

/// Where the network layer begins, and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// The network layer.
    pub network: Network,
    /// Its offset: 14, 18 or 22.
    pub l3: usize,
    /// The outer VLAN tag in network order; zero for none.
    pub vlan: u16,
}

impl Frame {
    /// A frame without tags. The network layer is whatever the caller found.
    pub(crate) const UNTAGGED: Self = Self { network: Network::Ipv4, l3: L2, vlan: 0 };
}

/// The network layer of a frame without tags, if it has one that Sluice knows.
#[inline(always)]
pub(crate) fn untagged<P: Packet>(packet: &P) -> Option<Network> {
    network(packet.at::<Ethernet>(0)?.protocol)
}

const L2: usize = size_of::<Ethernet>();
const TAG: usize = size_of::<Vlan>();

/// Reads Ethernet header and VLAN tags.
#[inline(always)]
pub fn frame<P: Packet, T: Tables>(packet: &P, tables: &T) -> Result<Frame, Reason> {
    let ethernet: &Ethernet = packet.at(0).ok_or(Reason::DropEthernetTruncated)?;
    let protocol = ethernet.protocol;
    match network(protocol) {
        Some(Network::Ipv6) if !tables.settings().features.has(Features::IPV6) => {
            Err(Reason::PassIpv6)
        }
        Some(network) => Ok(Frame { network, ..Frame::UNTAGGED }),
        None if protocol != ETH_VLAN && protocol != ETH_SERVICE_VLAN => Err(Reason::PassNotIp),
        None if !tables.settings().features.has(Features::VLAN) => Err(Reason::PassVlan),
        None => match tagged(packet, tables)? {
            Frame { network: Network::Ipv6, .. }
                if !tables.settings().features.has(Features::IPV6) =>
            {
                Err(Reason::PassIpv6)
            }
            frame => Ok(frame),
        },
    }
}

#[inline(always)]
fn tagged<P: Packet, T: Tables>(packet: &P, tables: &T) -> Result<Frame, Reason> {
    let outer: &Vlan = packet.at(L2).ok_or(Reason::DropVlanTruncated)?;
    let (vlan, protocol) = (outer.tci, outer.protocol);
    if let Some(network) = network(protocol) {
        return Ok(Frame { network, l3: L2 + TAG, vlan });
    }
    if protocol != ETH_VLAN && protocol != ETH_SERVICE_VLAN {
        return Err(Reason::PassNotIp);
    }
    let inner: &Vlan = packet.at(L2 + TAG).ok_or(Reason::DropVlanTruncated)?;
    match network(inner.protocol) {
        Some(network) => Ok(Frame { network, l3: L2 + 2 * TAG, vlan }),
        None if inner.protocol == ETH_VLAN || inner.protocol == ETH_SERVICE_VLAN => {
            // Linux strips any number of tags with the id 0 (priority tags) and takes what is behind them: a denied
            // source must not get past the prefilter so.
            let filters = Features::PREFILTER4 | Features::PREFILTER6;
            let is_filtered = tables.settings().features.has(filters);
            Err(if is_filtered { Reason::DropVlanDepth } else { Reason::PassVlanDepth })
        }
        None => Err(Reason::PassNotIp),
    }
}

#[inline(always)]
fn network(protocol: u16) -> Option<Network> {
    match protocol {
        ETH_IPV4 => Some(Network::Ipv4),
        ETH_IPV6 => Some(Network::Ipv6),
        _ => None,
    }
}
