use super::{
    ends::{Ends, Family, read_address, write_address},
    wire::{Read, Reader, Writer},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which packets: `struct xfrm_selector`. The default is every packet of any family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Selector {
    /// The packet's addresses.
    pub addresses: Addresses,
    /// Ports of the source.
    pub source_ports: Ports,
    /// Ports of the destination.
    pub destination_ports: Ports,
    /// Protocol; 0 is any.
    pub protocol: u8,
    /// The link; 0 is any.
    pub ifindex: i32,
    /// The kernel keeps it and matches nothing with it.
    pub user: u32,
}

/// Networks of a family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Addresses {
    /// `AF_UNSPEC`: in a state the kernel puts the state's own family there.
    #[default]
    Unspecified,
    /// IPv4 packets.
    V4 {
        /// Where they come from: address and length of the prefix.
        source: (Ipv4Addr, u8),
        /// Where they go.
        destination: (Ipv4Addr, u8),
    },
    /// IPv6 packets.
    V6 {
        /// Where they come from: address and length of the prefix.
        source: (Ipv6Addr, u8),
        /// Where they go.
        destination: (Ipv6Addr, u8),
    },
}

impl Addresses {
    /// Every IPv4 packet.
    pub const ALL_V4: Self =
        Self::V4 { source: (Ipv4Addr::UNSPECIFIED, 0), destination: (Ipv4Addr::UNSPECIFIED, 0) };
    /// Every IPv6 packet.
    pub const ALL_V6: Self =
        Self::V6 { source: (Ipv6Addr::UNSPECIFIED, 0), destination: (Ipv6Addr::UNSPECIFIED, 0) };

    pub(super) fn of(
        family: u16,
        source: ([u8; 16], u8),
        destination: ([u8; 16], u8),
    ) -> Read<Self> {
        if family == 0 {
            return Ok(Self::Unspecified);
        }
        let ends = Ends::of(Family::read(family)?, source.0, destination.0);
        Ok(match ends {
            Ends::V4 { source: from, destination: to } => {
                Self::V4 { source: (from, source.1), destination: (to, destination.1) }
            }
            Ends::V6 { source: from, destination: to } => {
                Self::V6 { source: (from, source.1), destination: (to, destination.1) }
            }
        })
    }

    pub(super) fn parts(self) -> (u16, (IpAddr, u8), (IpAddr, u8)) {
        match self {
            Self::Unspecified => {
                let none = (IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);
                (0, none, none)
            }
            Self::V4 { source, destination } => (
                Family::V4 as u16,
                (source.0.into(), source.1),
                (destination.0.into(), destination.1),
            ),
            Self::V6 { source, destination } => (
                Family::V6 as u16,
                (source.0.into(), source.1),
                (destination.0.into(), destination.1),
            ),
        }
    }
}

/// Ports that equal `port` in the bits of `mask`; the default is any port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ports {
    /// The port.
    pub port: u16,
    /// Its bits that count.
    pub mask: u16,
}

impl Selector {
    /// Every packet with these addresses.
    pub fn of(addresses: Addresses) -> Self {
        Self { addresses, ..Self::default() }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        let start = writer.len();
        let (family, source, destination) = self.addresses.parts();
        write_address(writer, destination.0);
        write_address(writer, source.0);
        for ports in [self.destination_ports, self.source_ports] {
            writer.be16(ports.port);
            writer.be16(ports.mask);
        }
        writer.u16(family);
        writer.bytes(&[destination.1, source.1, self.protocol]);
        writer.pad_to(start + 48);
        writer.bytes(&self.ifindex.to_ne_bytes());
        writer.u32(self.user);
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let (to, from) = (read_address(reader)?, read_address(reader)?);
        let mut ports = || Ok(Ports { port: reader.be16()?, mask: reader.be16()? });
        let (destination_ports, source_ports) = (ports()?, ports()?);
        let family = reader.u16()?;
        let (to_length, from_length, protocol) = (reader.u8()?, reader.u8()?, reader.u8()?);
        reader.skip(3)?;
        let (ifindex, user) = (i32::from_ne_bytes(reader.array()?), reader.u32()?);
        let addresses = Addresses::of(family, (from, from_length), (to, to_length))?;
        Ok(Self { addresses, source_ports, destination_ports, protocol, ifindex, user })
    }

    /// The family, where there is one.
    pub(super) fn family(&self) -> Option<Family> {
        match self.addresses {
            Addresses::Unspecified => None,
            Addresses::V4 { .. } => Some(Family::V4),
            Addresses::V6 { .. } => Some(Family::V6),
        }
    }
}
