//! Frames for tests; checksums are zero, which no stage reads.

use std::net::{IpAddr, SocketAddr};

pub(crate) const SYN: u8 = 2;
pub(crate) const ACK: u8 = 16;

/// A TCP segment without data.
pub(crate) fn tcp(from: SocketAddr, to: SocketAddr, flags: u8) -> Vec<u8> {
    let mut segment = ports(from, to);
    segment.extend([0; 8]);
    segment.extend([5 << 4, flags, 0, 0, 0, 0, 0, 0]);
    frame(from.ip(), to.ip(), 6, &segment)
}

/// A UDP datagram of four bytes.
pub(crate) fn udp(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let mut datagram = ports(from, to);
    datagram.extend([0, 12, 0, 0, 1, 2, 3, 4]);
    frame(from.ip(), to.ip(), 17, &datagram)
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

fn frame(from: IpAddr, to: IpAddr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 9];
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = (20 + payload.len() as u16).to_be_bytes();
            frame.extend([8, 0, 0x45, 0, length[0], length[1], 0, 1, 0x40, 0, 64, protocol, 0, 0]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let length = (payload.len() as u16).to_be_bytes();
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, length[0], length[1], protocol, 64]);
            frame.extend(from.octets());
            frame.extend(to.octets());
        }
        _ => panic!("one family"),
    }
    frame.extend(payload);
    frame
}
