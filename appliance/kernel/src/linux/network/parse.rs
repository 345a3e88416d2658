//! From the kernel's messages to ours.

use crate::{InterfaceAddress, Link, Neighbour, NeighbourState, NetworkEvent};
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    link::{
        InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType,
        LinkMessage,
    },
    neighbour::{self, NeighbourAddress, NeighbourAttribute, NeighbourMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteVia},
};
use std::net::IpAddr;

pub(super) fn link(message: &RouteNetlinkMessage) -> Option<Link> {
    match message {
        RouteNetlinkMessage::NewLink(message) => link_of(message),
        _ => None,
    }
}

pub(super) fn address(message: &RouteNetlinkMessage) -> Option<InterfaceAddress> {
    match message {
        RouteNetlinkMessage::NewAddress(message) => address_of(message),
        _ => None,
    }
}

pub(super) fn neighbour(message: &RouteNetlinkMessage) -> Option<Neighbour> {
    match message {
        RouteNetlinkMessage::NewNeighbour(message) => neighbour_of(message),
        _ => None,
    }
}

pub(super) fn event(message: &RouteNetlinkMessage) -> Option<NetworkEvent> {
    match message {
        RouteNetlinkMessage::NewLink(message) => link_of(message).map(NetworkEvent::Link),
        RouteNetlinkMessage::DelLink(message) => {
            let Link { name, ifindex, .. } = link_of(message)?;
            Some(NetworkEvent::LinkGone { name, ifindex })
        }
        RouteNetlinkMessage::NewAddress(message) => address_of(message).map(NetworkEvent::Address),
        RouteNetlinkMessage::DelAddress(message) => {
            address_of(message).map(NetworkEvent::AddressGone)
        }
        RouteNetlinkMessage::NewRoute(_) | RouteNetlinkMessage::DelRoute(_) => {
            Some(NetworkEvent::Route)
        }
        RouteNetlinkMessage::NewRule(_) | RouteNetlinkMessage::DelRule(_) => {
            Some(NetworkEvent::Route)
        }
        RouteNetlinkMessage::NewNeighbour(message) => {
            neighbour_of(message).map(NetworkEvent::Neighbour)
        }
        RouteNetlinkMessage::DelNeighbour(message) => {
            let Neighbour { address, ifindex, .. } = neighbour_of(message)?;
            Some(NetworkEvent::NeighbourGone { address, ifindex })
        }
        _ => None,
    }
}

fn link_of(message: &LinkMessage) -> Option<Link> {
    // A bridge tells about its ports in messages of its own.
    if message.header.interface_family != AddressFamily::Unspec {
        return None;
    }
    let mut link = Link {
        ifindex: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        carrier: message.header.flags.contains(LinkFlags::LowerUp),
        ..Link::default()
    };
    let mut elsewhere = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(mac)
                if message.header.link_layer_type == LinkLayerType::Ether =>
            {
                link.mac = mac.as_slice().try_into().ok();
            }
            LinkAttribute::Link(index) => link.parent = Some(*index).filter(|index| *index != 0),
            LinkAttribute::LinkNetNsId(_) => elsewhere = true,
            LinkAttribute::Controller(index) => {
                link.controller = Some(*index).filter(|index| *index != 0);
            }
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    read_info(info, &mut link);
                }
            }
            _ => {}
        }
    }
    // The kernel names the other end of a veth pair as if it were below.
    if elsewhere || link.kind.as_deref() == Some("veth") {
        link.parent = None;
    }
    (!link.name.is_empty()).then_some(link)
}

fn read_info(info: &LinkInfo, link: &mut Link) {
    match info {
        LinkInfo::Kind(InfoKind::Other(kind)) => link.kind = Some(kind.clone()),
        LinkInfo::Kind(kind) => link.kind = Some(kind.to_string()),
        LinkInfo::Data(InfoData::Vlan(vlan)) => {
            link.vlan = vlan.iter().find_map(|info| match info {
                InfoVlan::Id(id) => Some(*id),
                _ => None,
            });
        }
        _ => {}
    }
}

fn address_of(message: &AddressMessage) -> Option<InterfaceAddress> {
    let find = |local: bool| {
        message.attributes.iter().find_map(move |attribute| match attribute {
            AddressAttribute::Local(address) if local => Some(*address),
            AddressAttribute::Address(address) if !local => Some(*address),
            _ => None,
        })
    };
    // On a point-to-point link, `Address` is the other end.
    let address = find(true).or_else(|| find(false))?;
    let (ifindex, prefix_length) = (message.header.index, message.header.prefix_len);
    Some(InterfaceAddress { ifindex, address, prefix_length })
}

fn neighbour_of(message: &NeighbourMessage) -> Option<Neighbour> {
    let mut address = None;
    let mut mac = None;
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(IpAddr::V4(*v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some(IpAddr::V6(*v6));
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes.as_slice().try_into().ok(),
            _ => {}
        }
    }
    let (ifindex, state) = (message.header.ifindex, state(message.header.state));
    Some(Neighbour { ifindex, address: address?, mac, state })
}

fn state(state: neighbour::NeighbourState) -> NeighbourState {
    use neighbour::NeighbourState as Kernel;
    match state {
        Kernel::Incomplete => NeighbourState::Incomplete,
        Kernel::Reachable => NeighbourState::Reachable,
        Kernel::Stale => NeighbourState::Stale,
        Kernel::Delay => NeighbourState::Delay,
        Kernel::Probe => NeighbourState::Probe,
        Kernel::Failed => NeighbourState::Failed,
        Kernel::Noarp => NeighbourState::NoArp,
        Kernel::Permanent => NeighbourState::Permanent,
        _ => NeighbourState::None,
    }
}

/// A way; none if the message names no link to leave by.
pub(super) fn route(message: &RouteMessage) -> Option<crate::Route> {
    let mut ifindex = None;
    let (mut gateway, mut source, mut mtu) = (None, None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            // An IPv4 route over an IPv6 router.
            RouteAttribute::Via(RouteVia::Inet(v4)) => gateway = Some(IpAddr::V4(*v4)),
            RouteAttribute::Via(RouteVia::Inet6(v6)) => gateway = Some(IpAddr::V6(*v6)),
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::Metrics(metrics) => {
                mtu = metrics.iter().find_map(|metric| match metric {
                    RouteMetric::Mtu(mtu) => Some(*mtu).filter(|mtu| *mtu != 0),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Some(crate::Route { ifindex: ifindex?, gateway, source, mtu })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
