//! IP prefixes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ValueError, from_text, string_schema};

/// An IPv4 or IPv6 prefix, exactly as written: host bits may be set. [`validate`](crate::validate()) refuses those.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(IpNet);

impl Prefix {
    /// Address and length.
    #[must_use]
    pub const fn net(self) -> IpNet {
        self.0
    }

    /// The same prefix with all host bits cleared.
    #[must_use]
    pub fn truncated(self) -> Self {
        Self(self.0.trunc())
    }

    /// Whether the address has bits beyond the length.
    #[must_use]
    pub fn has_host_bits(self) -> bool {
        self.0.addr() != self.0.network()
    }

    /// Whether it is an IPv4 prefix.
    #[must_use]
    pub const fn is_ipv4(self) -> bool {
        matches!(self.0, IpNet::V4(_))
    }
}

impl From<IpNet> for Prefix {
    fn from(net: IpNet) -> Self {
        Self(net)
    }
}

impl From<Prefix> for IpNet {
    fn from(prefix: Prefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Prefix {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if let Ok(net) = text.parse() {
            return Ok(Self(net));
        }
        let expected = match text.parse::<std::net::IpAddr>() {
            Ok(address) => format!("for this one address write {}", IpNet::from(address)),
            Err(_) => "expected a prefix such as 198.51.100.0/24 or 2001:db8::/32".to_owned(),
        };
        Err(ValueError::new(format!("`{text}` is not a prefix: {expected}")))
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a prefix such as 198.51.100.0/24 or 2001:db8::/32")
    }
}

impl JsonSchema for Prefix {
    fn schema_name() -> Cow<'static, str> {
        "Prefix".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema("An IPv4 or IPv6 prefix without host bits.", "^[0-9a-fA-F.:]+/[0-9]{1,3}$")
    }
}
