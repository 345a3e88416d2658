//! The ports of a service.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Port, PortRange, ValueError};

/// The ports of a service: `80`, `8000-8100` or `any`.
///
/// On one address an exact port wins over a range, and a range over `any`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PortSpec {
    /// One port.
    One(Port),
    /// Consecutive ports.
    Range(PortRange),
    /// Every port.
    Any,
}

impl PortSpec {
    /// The port, if it is one.
    #[must_use]
    pub const fn exact(self) -> Option<Port> {
        if let Self::One(port) = self { Some(port) } else { None }
    }

    /// The range, if it is one.
    #[must_use]
    pub const fn range(self) -> Option<PortRange> {
        if let Self::Range(range) = self { Some(range) } else { None }
    }

    /// Whether packets to this port belong to the service.
    #[must_use]
    pub fn contains(self, number: u16) -> bool {
        match self {
            Self::One(port) => port.get() == number,
            Self::Range(range) => range.numbers().contains(&number),
            Self::Any => true,
        }
    }
}

impl fmt::Display for PortSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(port) => port.fmt(f),
            Self::Range(range) => range.fmt(f),
            Self::Any => f.write_str("any"),
        }
    }
}

impl FromStr for PortSpec {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "any" {
            Ok(Self::Any)
        } else if text.contains('-') && !text.starts_with('-') {
            text.parse().map(Self::Range)
        } else {
            text.parse().map(Self::One).map_err(|_| {
                ValueError::new(format!(
                    "`{text}` is not a port: expected 1 to 65535, a range such as 8000-8100, or any"
                ))
            })
        }
    }
}

impl Serialize for PortSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::One(port) => port.serialize(serializer),
            Self::Range(_) | Self::Any => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for PortSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PortSpecVisitor)
    }
}

struct PortSpecVisitor;

impl de::Visitor<'_> for PortSpecVisitor {
    type Value = PortSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a port, a range such as 8000-8100, or any")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<PortSpec, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<PortSpec, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<PortSpec, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for PortSpec {
    fn schema_name() -> Cow<'static, str> {
        "PortSpec".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One port, a range such as 8000-8100, or any.",
            "oneOf": [
                { "type": "integer", "minimum": 1, "maximum": 65_535 },
                { "type": "string", "pattern": r"^(any|[0-9]{1,5}|\s*[0-9]{1,5}\s*-\s*[0-9]{1,5}\s*)$" },
            ],
        })
    }
}
