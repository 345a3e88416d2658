//! Packets by the million, from a seed: valid ones for the services of [`super::scenario`], mutated, truncated, and
//! noise. The same seed gives the same packets, as long as the same packets come back as answers.

use super::scenario::{
    GATEWAY, POOL, ROUTER, ServiceRow, backend_address, backend_mac, rows as scenario_rows,
};
use crate::{
    abi::Reason,
    packet::wire::protocol::{ICMP, ICMPV6, TCP, UDP},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest frame. A test run of the kernel takes no longer ones in one piece.
const LONGEST: usize = 3400;
/// How many translated packets are remembered, to be answered.
const ANSWERABLE: usize = 64;

/// A source of numbers (SplitMix64, Steele, Lea and Flood 2014).
pub struct Numbers(u64);

impl Numbers {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which is not zero.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next_bits() % end
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub fn pick<'s, T>(&mut self, from: &'s [T]) -> &'s T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// See the module.
pub struct Generator {
    numbers: Numbers,
    rows: Vec<ServiceRow>,
    /// The chances of the rows up to each of them, where they are not the same.
    chances: Vec<u64>,
    sent: Vec<Vec<u8>>,
}

/// What a packet says of itself.
#[derive(Clone, Copy)]
struct Ends {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    source_port: u16,
    destination_port: u16,
}

impl Ends {
    fn turned(self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            source_port: self.destination_port,
            destination_port: self.source_port,
            ..self
        }
    }
}

impl Generator {
    /// The packets of a seed.
    pub fn new(seed: u64) -> Self {
        let rows = scenario_rows();
        Self { numbers: Numbers::new(seed), rows, chances: Vec::new(), sent: Vec::new() }
    }

    /// The packets of a seed, where the services are called as those of the world are: the second half as often as
    /// the first, the third a third as often, and so on (Zipf). Which is the first depends on the seed.
    pub fn zipf(seed: u64) -> Self {
        let mut generator = Self::new(seed);
        let count = generator.rows.len();
        generator.rows.rotate_left((seed % count as u64) as usize);
        let chances = (1..=count as u64).map(|rank| 1_000_000 / rank);
        generator.chances = chances
            .scan(0, |sum, chance| {
                *sum += chance;
                Some(*sum)
            })
            .collect();
        generator
    }

    /// Tells what became of a packet: answers to translated ones follow.
    pub fn sent(&mut self, reason: Reason, frame: &[u8]) {
        if reason != Reason::SentTranslated {
            return;
        }
        if self.sent.len() < ANSWERABLE {
            self.sent.push(frame.to_vec());
        } else {
            let place = self.numbers.below(ANSWERABLE as u64) as usize;
            self.sent[place] = frame.to_vec();
        }
    }

    /// The next packet: 14 bytes or more.
    pub fn next_frame(&mut self) -> Vec<u8> {
        let mut frame = match self.numbers.below(100) {
            0..3 => self.noise(),
            3..20 if !self.sent.is_empty() => self.answer(),
            _ => {
                let ends = self.ends();
                self.frame(ends)
            }
        };
        if self.numbers.once_in(6) {
            self.mutate(&mut frame);
        }
        if self.numbers.once_in(12) {
            let length = self.numbers.below(frame.len() as u64 + 1) as usize;
            frame.truncate(length);
        }
        if self.numbers.once_in(12) {
            let padding = frame.len() + self.numbers.below(64) as usize;
            frame.resize(padding, 0xa5);
        }
        frame.resize(frame.len().clamp(14, LONGEST), 0);
        frame
    }

    fn noise(&mut self) -> Vec<u8> {
        let length = self.numbers.below(200);
        let mut frame: Vec<u8> = (0..length).map(|_| self.numbers.next_bits() as u8).collect();
        if let Some(place) = frame.get_mut(12..14)
            && self.numbers.once_in(2)
        {
            let kind = *self.numbers.pick(&[[8, 0], [0x86, 0xdd], [0x81, 0], [0x88, 0xa8], [8, 6]]);
            place.copy_from_slice(&kind);
        }
        frame
    }

    fn mutate(&mut self, frame: &mut [u8]) {
        let reach = frame.len().min(110) as u64;
        if reach == 0 {
            return;
        }
        for _ in 0..=self.numbers.below(4) {
            let at = self.numbers.below(reach) as usize;
            frame[at] = match self.numbers.below(4) {
                0 => 0,
                1 => 0xff,
                2 => frame[at] ^ 1 << self.numbers.below(8),
                _ => self.numbers.next_bits() as u8,
            };
        }
    }

    fn row(&mut self) -> &ServiceRow {
        let Some(&all) = self.chances.last() else { return self.numbers.pick(&self.rows) };
        let number = self.numbers.below(all);
        &self.rows[self.chances.partition_point(|sum| *sum <= number)]
    }

    /// A client, a service, and ports; few enough that flows repeat.
    fn ends(&mut self) -> Ends {
        let row = self.row().clone();
        let ipv6 = row.address.is_ipv6();
        let (low, high) = (u64::from(row.ports.0), u64::from(row.ports.1));
        let port = match self.numbers.below(20) {
            0 => self.numbers.next_bits() as u16,
            _ => (low + self.numbers.below(high - low + 1)) as u16,
        };
        let destination = match self.numbers.below(30) {
            0 => *self.numbers.pick(&POOL),
            1 => backend_address(self.numbers.below(70) as u32, ipv6),
            _ => row.address,
        };
        Ends {
            source: self.client(destination.is_ipv6()),
            destination,
            protocol: match self.numbers.below(40) {
                0 => *self.numbers.pick(&[2, 47, 132, 255]),
                1 => TCP,
                2 => UDP,
                _ => row.protocol,
            },
            source_port: (40_000 + self.numbers.below(24)) as u16,
            destination_port: port,
        }
    }

    fn client(&mut self, ipv6: bool) -> IpAddr {
        let host = self.numbers.below(256);
        if ipv6 {
            let net = *self.numbers.pick(&[
                [0x2001, 0xdb8, 1, 0],
                [0x2001, 0xdb8, 1, 0],
                [0x2001, 0xdb8, 1, 1],
                [0x2001, 0xdb8, 2, 0],
                [0x2001, 0xdb8, 0xbad, 0],
                [0x2001, 0xdb8, 0xbad, 1],
                [0x3fff, 7, 0, 0],
                [0x3fff, 8, 0, 0],
                [0xfd00, 0, 0, 0],
            ]);
            let host = (host & 15) as u16;
            return Ipv6Addr::new(net[0], net[1], net[2], net[3], 0, 0, 0, host).into();
        }
        let net = *self.numbers.pick(&[
            [198, 51, 100],
            [198, 51, 100],
            [198, 51, 100],
            [198, 51, 101],
            [198, 18, 0],
            [203, 0, 113],
            [100, 64, 0],
            [10, 0, 0],
        ]);
        Ipv4Addr::new(net[0], net[1], net[2], host as u8).into()
    }

    fn frame(&mut self, ends: Ends) -> Vec<u8> {
        if self.numbers.once_in(12) {
            return self.icmp_frame(ends.turned());
        }
        let payload = self.payload();
        let first_bytes = self.transport(ends, payload);
        self.network(ends, first_bytes)
    }

    fn payload(&mut self) -> usize {
        (match self.numbers.below(10) {
            0..6 => self.numbers.below(64),
            6 => 500 + self.numbers.below(100),
            7 => 1180 + self.numbers.below(120),
            8 => 1380 + self.numbers.below(120),
            _ => self.numbers.below(3000),
        }) as usize
    }

    fn transport(&mut self, ends: Ends, payload: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(ends.source_port.to_be_bytes());
        bytes.extend(ends.destination_port.to_be_bytes());
        let sum = match self.numbers.below(8) {
            0 => 0,
            1 => 0xffff,
            _ => self.numbers.next_bits() as u16,
        };
        if ends.protocol == TCP {
            let words = if self.numbers.once_in(4) { 5 + self.numbers.below(11) } else { 5 };
            bytes.extend(self.numbers.next_bits().to_be_bytes());
            bytes.push((words as u8) << 4);
            bytes.push(*self.numbers.pick(&[2, 2, 2, 16, 16, 16, 24, 18, 17, 17, 4, 0]));
            bytes.extend([0xfa, 0xf0]);
            bytes.extend(sum.to_be_bytes());
            bytes.extend([0, 0]);
            bytes.resize(words as usize * 4, 1);
        } else {
            bytes.extend(((8 + payload) as u16).to_be_bytes());
            bytes.extend(sum.to_be_bytes());
        }
        bytes.resize(bytes.len() + payload, 0x5a);
        if self.numbers.once_in(100) {
            bytes.truncate(self.numbers.below(20) as usize);
        }
        bytes
    }

    /// An ICMP error, or another ICMP packet. `quoted`: the ends of the packet that failed.
    fn icmp_frame(&mut self, quoted: Ends) -> Vec<u8> {
        let ipv6 = quoted.source.is_ipv6();
        let kinds: &[u8] = if ipv6 { &[1, 2, 3, 4, 128, 135] } else { &[3, 3, 11, 12, 8, 5] };
        let mut bytes = vec![*self.numbers.pick(kinds), self.numbers.below(5) as u8];
        bytes.extend((self.numbers.next_bits() as u16).to_be_bytes());
        bytes.extend((self.numbers.below(1600) as u32).to_be_bytes());
        let length = self.payload();
        let inner = self.transport(quoted, length);
        let mut quote = self.ip(quoted, quoted.protocol, inner);
        if self.numbers.once_in(2) {
            quote.truncate((if ipv6 { 40 } else { 20 }) + self.numbers.below(30) as usize);
        }
        bytes.extend(quote);
        if self.numbers.once_in(30) {
            bytes.truncate(self.numbers.below(8) as usize);
        }
        let outer = Ends {
            // Often a router on the way, not the client itself.
            source: if self.numbers.once_in(2) { self.client(ipv6) } else { quoted.destination },
            destination: quoted.source,
            protocol: if ipv6 { ICMPV6 } else { ICMP },
            ..quoted
        };
        self.network(outer, bytes)
    }

    /// With link-layer header and tags.
    fn network(&mut self, ends: Ends, payload: Vec<u8>) -> Vec<u8> {
        let mut frame = Vec::new();
        frame.extend(GATEWAY);
        frame.extend(ROUTER);
        let tags = if self.numbers.once_in(10) { 1 + self.numbers.below(3) } else { 0 };
        for _ in 0..tags {
            frame.extend(*self.numbers.pick(&[[0x81, 0], [0x88, 0xa8]]));
            frame.extend((self.numbers.next_bits() as u16).to_be_bytes());
        }
        frame.extend(if ends.source.is_ipv6() { [0x86, 0xdd] } else { [8, 0] });
        frame.extend(self.ip(ends, ends.protocol, payload));
        frame
    }

    fn ip(&mut self, ends: Ends, number: u8, payload: Vec<u8>) -> Vec<u8> {
        match (ends.source, ends.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ip4(source, destination, number, payload)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ip6(source, destination, number, payload)
            }
            _ => Vec::new(),
        }
    }

    fn ip4(&mut self, from: Ipv4Addr, to: Ipv4Addr, number: u8, payload: Vec<u8>) -> Vec<u8> {
        let words = if self.numbers.once_in(12) { 5 + self.numbers.below(11) } else { 5 };
        let length = words as usize * 4 + payload.len();
        let fragment = match self.numbers.below(24) {
            0 => 0x2000,
            1 => 1 + self.numbers.below(100),
            2 => 0x2000 | (1 + self.numbers.below(100)),
            3..12 => 0,
            _ => 0x4000,
        };
        let mut bytes = vec![0x40 | words as u8, self.numbers.next_bits() as u8];
        bytes.extend((length as u16).to_be_bytes());
        bytes.extend((self.numbers.below(4) as u16).to_be_bytes());
        bytes.extend((fragment as u16).to_be_bytes());
        bytes.push(self.hops());
        bytes.push(number);
        bytes.extend((self.numbers.next_bits() as u16).to_be_bytes());
        bytes.extend(from.octets());
        bytes.extend(to.octets());
        bytes.resize(words as usize * 4, 1);
        bytes.extend(payload);
        bytes
    }

    fn hops(&mut self) -> u8 {
        match self.numbers.below(20) {
            0 => self.numbers.below(3) as u8,
            _ => 64,
        }
    }

    fn ip6(&mut self, from: Ipv6Addr, to: Ipv6Addr, number: u8, payload: Vec<u8>) -> Vec<u8> {
        const EXTENSIONS: [u8; 8] = [0, 43, 44, 44, 51, 60, 135, 140];
        let count = if self.numbers.once_in(6) { 1 + self.numbers.below(7) } else { 0 };
        let kinds: Vec<u8> = (0..count).map(|_| *self.numbers.pick(&EXTENSIONS)).collect();
        let mut extensions = Vec::new();
        for (i, &kind) in kinds.iter().enumerate() {
            extensions.push(kinds.get(i + 1).copied().unwrap_or(number));
            self.extension(kind, &mut extensions);
        }
        let mut bytes = (6 << 28 | self.numbers.below(1 << 28) as u32).to_be_bytes().to_vec();
        bytes.extend(((extensions.len() + payload.len()) as u16).to_be_bytes());
        bytes.push(kinds.first().copied().unwrap_or(number));
        bytes.push(self.hops());
        bytes.extend(from.octets());
        bytes.extend(to.octets());
        bytes.extend(extensions);
        bytes.extend(payload);
        bytes
    }

    /// What follows the first byte of an extension header.
    fn extension(&mut self, kind: u8, bytes: &mut Vec<u8>) {
        let units = self.numbers.below(3) as usize;
        if kind == 44 {
            let offset = *self.numbers.pick(&[0, 1, 1, 8, 80, 81]);
            bytes.extend([0, 0, offset, 0, 0, 0, self.numbers.below(4) as u8]);
            return;
        }
        let size = if kind == 51 { (units + 2) * 4 } else { (units + 1) * 8 };
        bytes.push(units as u8);
        bytes.resize(bytes.len() + size - 2, 0);
    }

    /// The answer to a translated packet, or an ICMP error about one.
    fn answer(&mut self) -> Vec<u8> {
        let place = self.numbers.below(self.sent.len() as u64) as usize;
        let sent = self.sent[place].clone();
        let Some(ends) = ends_of(&sent) else { return sent };
        let mut frame = if self.numbers.once_in(5) {
            self.icmp_frame(ends)
        } else {
            let payload = self.payload();
            let bytes = self.transport(ends.turned(), payload);
            self.network(ends.turned(), bytes)
        };
        frame[6..12].copy_from_slice(&backend_mac(self.numbers.below(60) as u32));
        frame
    }
}

/// Addresses and ports of a frame that the datapath translated.
fn ends_of(frame: &[u8]) -> Option<Ends> {
    let l3 = if frame.get(12..14)? == [0x81, 0] { 18 } else { 14 };
    let byte = |at: usize| frame.get(l3 + at).copied();
    let port = |at: usize| Some(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
    if byte(0)? >> 4 == 4 {
        let address =
            |at| Some(Ipv4Addr::new(byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?));
        let l4 = usize::from(byte(0)? & 15) * 4;
        return Some(Ends {
            source: address(12)?.into(),
            destination: address(16)?.into(),
            protocol: byte(9)?,
            source_port: port(l4)?,
            destination_port: port(l4 + 2)?,
        });
    }
    let address = |at: usize| {
        let octets: [u8; 16] = frame.get(l3 + at..l3 + at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets))
    };
    Some(Ends {
        source: address(8)?.into(),
        destination: address(24)?.into(),
        protocol: byte(6)?,
        source_port: port(40)?,
        destination_port: port(42)?,
    })
}
