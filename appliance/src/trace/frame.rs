//! Frames: from a request to bytes, and from bytes to words.

use std::net::{IpAddr, SocketAddr};

use etherparse::{
    IpNumber, LinkExtSlice, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket,
    TransportSlice,
};
use sluice_datapath::abi::{Address, address4, address6};

use super::TraceError;
use crate::wire::{TcpFlag, TraceProtocol, TraceRequest};

/// The neighbour that sent the packet: a locally administered address that nobody has.
const SENDER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const TTL: u8 = 64;
const TCP_WINDOW: u16 = 65535;

/// An address in the form of the tables, and whether it is IPv6.
pub(super) fn table_address(address: IpAddr) -> (Address, bool) {
    match address {
        IpAddr::V4(address) => (address4(address), false),
        IpAddr::V6(address) => (address6(address), true),
    }
}

/// The frame of a request, to the hardware address `to`.
pub(super) fn build(request: &TraceRequest, to: [u8; 6]) -> Result<Vec<u8>, TraceError> {
    if request.protocol == TraceProtocol::Udp && !request.flags.is_empty() {
        return Err(TraceError::Flags);
    }
    let ethernet = PacketBuilder::ethernet2(SENDER, to);
    let ttl = request.ttl.unwrap_or(TTL);
    let vlan = request.vlan.and_then(|id| etherparse::VlanId::try_new(id).ok());
    let packet = match (request.source, request.destination, vlan) {
        (SocketAddr::V4(from), SocketAddr::V4(to), None) => {
            ethernet.ipv4(from.ip().octets(), to.ip().octets(), ttl)
        }
        (SocketAddr::V4(from), SocketAddr::V4(to), Some(vlan)) => {
            ethernet.single_vlan(vlan).ipv4(from.ip().octets(), to.ip().octets(), ttl)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to), None) => {
            ethernet.ipv6(from.ip().octets(), to.ip().octets(), ttl)
        }
        (SocketAddr::V6(from), SocketAddr::V6(to), Some(vlan)) => {
            ethernet.single_vlan(vlan).ipv6(from.ip().octets(), to.ip().octets(), ttl)
        }
        _ => return Err(TraceError::Families),
    };
    with_ports(packet, request).ok_or(TraceError::TooLong(request.payload_bytes))
}

/// `None` if the packet would be longer than IP allows.
fn with_ports(
    packet: PacketBuilderStep<etherparse::IpHeaders>,
    request: &TraceRequest,
) -> Option<Vec<u8>> {
    let (from, to) = (request.source.port(), request.destination.port());
    let payload = vec![0; usize::from(request.payload_bytes)];
    let mut bytes = Vec::new();
    // Writing into memory fails only for packets longer than IP allows.
    let written = match request.protocol {
        TraceProtocol::Udp => packet.udp(from, to).write(&mut bytes, &payload),
        TraceProtocol::Tcp => {
            let mut tcp = packet.tcp(from, to, 1, TCP_WINDOW);
            let flags = if request.flags.is_empty() { &[TcpFlag::Ack][..] } else { &request.flags };
            for flag in flags {
                tcp = match flag {
                    TcpFlag::Fin => tcp.fin(),
                    TcpFlag::Syn => tcp.syn(),
                    TcpFlag::Rst => tcp.rst(),
                    TcpFlag::Psh => tcp.psh(),
                    TcpFlag::Ack => tcp.ack(1),
                    TcpFlag::Urg => tcp.urg(0),
                };
            }
            tcp.write(&mut bytes, &payload)
        }
    };
    written.ok().map(|()| bytes)
}

/// The headers of a frame, one line each.
pub(super) fn describe(frame: &[u8]) -> Vec<String> {
    let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
        return vec![format!("{} bytes that cannot be read", frame.len())];
    };
    let mut lines = Vec::new();
    if let Some(ethernet) =
        packet.link.as_ref().and_then(|link| link.to_header()).and_then(|link| link.ethernet2())
    {
        let (from, to) = (mac(ethernet.source), mac(ethernet.destination));
        lines.push(format!("Ethernet {from} > {to}, {} bytes", frame.len()));
    }
    for tag in &packet.link_exts {
        if let LinkExtSlice::Vlan(tag) = tag {
            lines.push(format!("VLAN {}", tag.vlan_identifier().value()));
        }
    }
    describe_ip(&packet, &mut lines);
    lines
}

fn describe_ip(packet: &SlicedPacket<'_>, lines: &mut Vec<String>) {
    let payload = match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            lines.push(format!(
                "IPv4 {from} > {to}, TTL {}, {} bytes",
                header.ttl(),
                header.total_len()
            ));
            Some(ip.payload())
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            let length = u32::from(header.payload_length()) + 40;
            lines.push(format!(
                "IPv6 {from} > {to}, hop limit {}, {length} bytes",
                header.hop_limit()
            ));
            Some(ip.payload())
        }
        _ => None,
    };
    match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let flags = [tcp.fin(), tcp.syn(), tcp.rst(), tcp.psh(), tcp.ack(), tcp.urg()];
            let set = TcpFlag::ALL
                .iter()
                .zip(flags)
                .filter(|(_, set)| *set)
                .map(|(flag, _)| flag.as_str());
            let set = set.collect::<Vec<_>>().join(",");
            lines.push(format!("TCP {} > {}, {set}", tcp.source_port(), tcp.destination_port()));
        }
        Some(TransportSlice::Udp(udp)) => {
            lines.push(format!("UDP {} > {}", udp.source_port(), udp.destination_port()))
        }
        Some(TransportSlice::Icmpv4(icmp)) => lines.push(format!("ICMP {:?}", icmp.icmp_type())),
        Some(TransportSlice::Icmpv6(icmp)) => lines.push(format!("ICMPv6 {:?}", icmp.icmp_type())),
        _ => {}
    }
    if let Some(payload) = payload
        && matches!(payload.ip_number, IpNumber::IPV4 | IpNumber::IPV6)
        && let Ok(inner) = SlicedPacket::from_ip(payload.payload)
    {
        describe_ip(&inner, lines);
    }
}

/// A hardware address as people write it.
pub(crate) fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
