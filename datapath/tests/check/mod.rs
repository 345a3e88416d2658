//! What etherparse says of a frame: lengths and checksums, of the packet, of one in a tunnel, and of a quoted one.
#![allow(unreachable_pub)]

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

type Result = std::result::Result<(), String>;

/// Whether all lengths fit and all checksums are right.
pub fn sound(frame: &[u8]) -> Result {
    let packet = SlicedPacket::from_ethernet(frame).map_err(|error| format!("{error}"))?;
    layers(&packet)
}

fn layers(packet: &SlicedPacket) -> Result {
    let Some(net) = &packet.net else { return Err("no network layer".into()) };
    let fragmented = net.ip_payload_ref().is_some_and(|payload| payload.fragmented);
    if let NetSlice::Ipv4(ip) = net {
        let header = ip.header().to_header();
        if header.calc_header_checksum() != header.header_checksum {
            return Err("IPv4 header checksum".into());
        }
    }
    // A fragment has but a part of what its checksum is over.
    if !fragmented {
        transport(packet, net)?;
    }
    let Some(payload) = net.ip_payload_ref() else { return Ok(()) };
    if matches!(payload.ip_number.0, 4 | 41) {
        let inner = SlicedPacket::from_ip(payload.payload).map_err(|error| format!("{error}"))?;
        layers(&inner).map_err(|error| format!("in the tunnel: {error}"))?;
    }
    Ok(())
}

fn transport(packet: &SlicedPacket, net: &NetSlice) -> Result {
    let ends4 = match net {
        NetSlice::Ipv4(ip) => Some((ip.header().source(), ip.header().destination())),
        _ => None,
    };
    let ends6 = match net {
        NetSlice::Ipv6(ip) => Some((ip.header().source(), ip.header().destination())),
        _ => None,
    };
    let (found, right) = match &packet.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let (header, payload) = (tcp.to_header(), tcp.payload());
            let right = match (ends4, ends6) {
                (Some((a, b)), _) => header.calc_checksum_ipv4_raw(a, b, payload),
                (_, Some((a, b))) => header.calc_checksum_ipv6_raw(a, b, payload),
                _ => return Ok(()),
            };
            (header.checksum, right)
        }
        Some(TransportSlice::Udp(udp)) if udp.checksum() != 0 => {
            let (header, payload) = (udp.to_header(), udp.payload());
            let right = match (ends4, ends6) {
                (Some((a, b)), _) => header.calc_checksum_ipv4_raw(a, b, payload),
                (_, Some((a, b))) => header.calc_checksum_ipv6_raw(a, b, payload),
                _ => return Ok(()),
            };
            (header.checksum, right)
        }
        Some(TransportSlice::Icmpv4(icmp)) => {
            let right = icmp.header().icmp_type.calc_checksum(icmp.payload());
            (icmp.checksum(), Ok(right))
        }
        Some(TransportSlice::Icmpv6(icmp)) => {
            let Some((a, b)) = ends6 else { return Ok(()) };
            let header = icmp.header();
            (icmp.checksum(), header.icmp_type.calc_checksum(a, b, icmp.payload()))
        }
        _ => return Ok(()),
    };
    match right {
        Ok(right) if right == found => Ok(()),
        Ok(right) => Err(format!("transport checksum {found:#06x}, should be {right:#06x}")),
        Err(error) => Err(format!("{error:?}")),
    }
}
