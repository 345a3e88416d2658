use super::wire::{Malformed, Read, Reader, Writer};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Address family: `AF_INET` and `AF_INET6` of `include/linux/socket.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4 = 2,
    /// IPv6.
    V6 = 10,
}

impl Family {
    /// Of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    pub(crate) fn read(number: u16) -> Read<Self> {
        match number {
            2 => Ok(Self::V4),
            10 => Ok(Self::V6),
            _ => Err(Malformed::Value("the address family")),
        }
    }
}

/// The two outer addresses of a state or of a template, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Ends {
    /// Over IPv4.
    V4 {
        /// Who encrypts.
        source: Ipv4Addr,
        /// Who decrypts.
        destination: Ipv4Addr,
    },
    /// Over IPv6.
    V6 {
        /// Who encrypts.
        source: Ipv6Addr,
        /// Who decrypts.
        destination: Ipv6Addr,
    },
}

impl Ends {
    /// Two addresses; none if they are not of one family.
    pub fn new(source: IpAddr, destination: IpAddr) -> Option<Self> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => Some(Self::V4 { source, destination }),
            (IpAddr::V6(source), IpAddr::V6(destination)) => Some(Self::V6 { source, destination }),
            _ => None,
        }
    }

    pub(super) fn of(family: Family, source: [u8; 16], destination: [u8; 16]) -> Self {
        match family {
            Family::V4 => Self::V4 { source: v4(source), destination: v4(destination) },
            Family::V6 => Self::V6 { source: source.into(), destination: destination.into() },
        }
    }

    /// Who encrypts.
    pub fn source(&self) -> IpAddr {
        match self {
            Self::V4 { source, .. } => (*source).into(),
            Self::V6 { source, .. } => (*source).into(),
        }
    }

    /// Who decrypts.
    pub fn destination(&self) -> IpAddr {
        match self {
            Self::V4 { destination, .. } => (*destination).into(),
            Self::V6 { destination, .. } => (*destination).into(),
        }
    }

    /// The family of both.
    pub fn family(&self) -> Family {
        match self {
            Self::V4 { .. } => Family::V4,
            Self::V6 { .. } => Family::V6,
        }
    }
}

fn v4([a, b, c, d, ..]: [u8; 16]) -> Ipv4Addr {
    Ipv4Addr::new(a, b, c, d)
}

/// `xfrm_address_t`: an IPv4 address stands in its first four bytes.
pub(super) fn write_address(writer: &mut Writer, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            writer.bytes(&address.octets());
            writer.bytes(&[0; 12]);
        }
        IpAddr::V6(address) => writer.bytes(&address.octets()),
    }
}

pub(super) fn address(family: Family, bytes: [u8; 16]) -> IpAddr {
    match family {
        Family::V4 => v4(bytes).into(),
        Family::V6 => Ipv6Addr::from(bytes).into(),
    }
}

pub(super) fn read_address(reader: &mut Reader<'_>) -> Read<[u8; 16]> {
    reader.array()
}
