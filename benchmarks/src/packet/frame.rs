//! The packets that programs are measured with, and the flows that they belong to.

use sluice_datapath::{hash, packet::Delta};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of every frame: the headers of IPv6 and TCP and some data.
pub(super) const LENGTH: usize = 98;
const L2: usize = 14;
/// TTL and hop limit.
const HOPS: u8 = 64;

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP with these flags.
    Tcp(u8),
    /// UDP.
    Udp,
}

impl Transport {
    /// Of a flow that has begun.
    pub const ESTABLISHED: Self = Self::Tcp(0x10);
    /// Of a flow that begins.
    pub const OPENING: Self = Self::Tcp(0x02);

    fn number(self) -> u8 {
        match self {
            Self::Tcp(_) => 6,
            Self::Udp => 17,
        }
    }
}

/// A frame from `source` to `destination` with right checksums.
pub(super) fn frame(
    source: (IpAddr, u16),
    destination: (IpAddr, u16),
    transport: Transport,
) -> Vec<u8> {
    let mut frame = vec![0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2];
    let ip_bytes = LENGTH - L2;
    match (source.0, destination.0) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            frame.extend([0x08, 0x00]);
            frame.extend([0x45, 0]);
            frame.extend((ip_bytes as u16).to_be_bytes());
            frame.extend([0x12, 0x34, 0x40, 0, HOPS, transport.number(), 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
            let sum = !sum(&frame[L2..]);
            frame[L2 + 10..L2 + 12].copy_from_slice(&sum.to_ne_bytes());
        }
        (from, to) => {
            let v6 = |address| match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend(((ip_bytes - 40) as u16).to_be_bytes());
            frame.extend([transport.number(), HOPS]);
            frame.extend(v6(from).octets());
            frame.extend(v6(to).octets());
        }
    }
    let l4 = frame.len();
    frame.extend(source.1.to_be_bytes());
    frame.extend(destination.1.to_be_bytes());
    match transport {
        Transport::Tcp(flags) => {
            frame.extend([0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0x20, 0, 0, 0, 0, 0])
        }
        Transport::Udp => {
            frame.extend(((LENGTH - l4) as u16).to_be_bytes());
            frame.extend([0, 0]);
        }
    }
    frame.resize(LENGTH, 0xa5);
    let at = l4 + if transport == Transport::Udp { 6 } else { 16 };
    let sum = !transport_sum(&frame).unwrap_or(0);
    frame[at..at + 2].copy_from_slice(&sum.to_ne_bytes());
    frame
}

/// The one's complement sum of the 16-bit words (RFC 1071), as they stand in memory.
pub(super) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [a, b] => u16::from_ne_bytes([a, b]),
        [a] => u16::from_ne_bytes([a, 0]),
        _ => 0,
    });
    !words.fold(Delta::new(), Delta::sum_half).checksum()
}

/// The sum over pseudo header and segment, checksum included: the same for every frame whose checksum is right, and
/// kept by every translation that is right (RFC 1624).
pub(super) fn transport_sum(frame: &[u8]) -> Option<u16> {
    let (addresses, number, segment) = match frame.get(12..14)? {
        [0x08, 0x00] => (frame.get(L2 + 12..L2 + 20)?, *frame.get(L2 + 9)?, frame.get(L2 + 20..)?),
        _ => (frame.get(L2 + 8..L2 + 40)?, *frame.get(L2 + 6)?, frame.get(L2 + 40..)?),
    };
    let rest = [0, number, (segment.len() >> 8) as u8, segment.len() as u8];
    let all = [addresses, rest.as_slice(), segment].concat();
    // Zero and all ones are the same number.
    Some(match sum(&all) {
        0xffff => 0,
        sum => sum,
    })
}

/// Source address word and port of a computed flow: the last word of the address, and for IPv6 its first one too, so
/// that every flow comes from a network of its own. The wrapper computes the same.
pub(super) fn computed(flow: u32) -> (u32, u16) {
    let mixed = hash::source(flow);
    (mixed, (mixed >> 16) as u16 | 0x4000)
}

/// The IPv4 source of a computed flow.
pub(super) fn source4(flow: u32) -> Ipv4Addr {
    Ipv4Addr::from(computed(flow).0.to_ne_bytes())
}

/// The IPv6 source of a computed flow whose template has `base` as its source.
pub(super) fn source6(flow: u32, base: Ipv6Addr) -> Ipv6Addr {
    let word = computed(flow).0.to_ne_bytes();
    let mut octets = base.octets();
    octets[..4].copy_from_slice(&word);
    octets[12..16].copy_from_slice(&word);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_right_checksums() {
        let v4 = |host| (IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)), 1000 + u16::from(host));
        let v6 = |host| (IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)), host);
        for transport in [Transport::ESTABLISHED, Transport::Udp] {
            for frame in [frame(v4(1), v4(2), transport), frame(v6(1), v6(2), transport)] {
                assert_eq!(frame.len(), LENGTH);
                assert_eq!(transport_sum(&frame), Some(0));
            }
        }
        assert_eq!(sum(&frame(v4(1), v4(2), Transport::Udp)[14..34]), 0xffff);
    }
}
