//! IP addresses as fields: the standard types, with an error that shows what was written.

use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ValueError, from_text};

pub(crate) fn serialize<S: Serializer>(address: &IpAddr, serializer: S) -> Result<S::Ok, S::Error> {
    address.serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpAddr, D::Error> {
    Written::deserialize(deserializer).map(|written| written.0)
}

/// A type of address and its name in messages.
pub(crate) trait Address: FromStr {
    const EXPECTED: &'static str;
}

impl Address for IpAddr {
    const EXPECTED: &'static str = "an IP address such as 192.0.2.10 or 2001:db8::10";
}

impl Address for std::net::Ipv4Addr {
    const EXPECTED: &'static str = "an IPv4 address such as 192.0.2.10";
}

impl Address for std::net::Ipv6Addr {
    const EXPECTED: &'static str = "an IPv6 address such as 2001:db8::10";
}

/// An address as it is written in a document.
struct Written<A>(A);

impl<'de, A: Address> Deserialize<'de> for Written<A> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, A::EXPECTED)
    }
}

impl<A: Address> FromStr for Written<A> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        text.parse().map(Self).map_err(|_| {
            ValueError::new(format!("`{text}` is not an address: expected {}", A::EXPECTED))
        })
    }
}

/// A list of addresses.
pub(crate) mod list {
    use super::{Deserialize, Deserializer, IpAddr, Serialize, Serializer, Written};

    pub(crate) fn serialize<S: Serializer>(
        addresses: &[IpAddr],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        addresses.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<IpAddr>, D::Error> {
        let written = Vec::<Written<IpAddr>>::deserialize(deserializer)?;
        Ok(written.into_iter().map(|written| written.0).collect())
    }
}

/// An address of one family that may be absent.
pub(crate) mod optional {
    use super::{Address, Deserialize, Deserializer, Serialize, Serializer, Written};

    pub(crate) fn serialize<A: Serialize, S: Serializer>(
        address: &Option<A>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        address.serialize(serializer)
    }

    pub(crate) fn deserialize<'de, A: Address, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<A>, D::Error> {
        let written = Option::<Written<A>>::deserialize(deserializer)?;
        Ok(written.map(|written| written.0))
    }
}
