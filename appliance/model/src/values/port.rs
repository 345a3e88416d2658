//! Transport ports.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU16;
use std::ops::RangeInclusive;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{ValueError, from_text, string_schema};

/// A TCP or UDP port, 1 to 65535, in host byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "u16")]
pub struct Port(NonZeroU16);

impl Port {
    /// A port; `None` for 0.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<i64> for Port {
    type Error = ValueError;

    fn try_from(number: i64) -> Result<Self, ValueError> {
        u16::try_from(number)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| ValueError::new(format!("{number} is not a port: expected 1 to 65535")))
    }
}

impl FromStr for Port {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // `u16::from_str` reads `+80` too.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse()
            .ok()
            .filter(|_| digits)
            .and_then(Self::new)
            .ok_or_else(|| ValueError::new(format!("`{text}` is not a port: expected 1 to 65535")))
    }
}

impl From<Port> for u16 {
    fn from(port: Port) -> Self {
        port.get()
    }
}

impl JsonSchema for Port {
    fn schema_name() -> Cow<'static, str> {
        "Port".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": 65_535 })
    }
}

/// At least two consecutive ports, written `8000-8100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: Port,
    last: Port,
}

impl PortRange {
    /// The ports that need no privilege to bind: 1024 to 65535.
    pub const UNPRIVILEGED: Self =
        Self { first: Port(NonZeroU16::MIN.saturating_add(1023)), last: Port(NonZeroU16::MAX) };

    /// A range; `first` must be smaller than `last`.
    ///
    /// # Errors
    /// When it holds no port, or one only.
    pub fn new(first: Port, last: Port) -> Result<Self, ValueError> {
        match first.cmp(&last) {
            std::cmp::Ordering::Less => Ok(Self { first, last }),
            std::cmp::Ordering::Equal => Err(ValueError::new(format!(
                "`{first}-{last}` is no range, it holds one port: write {first}, or a last port that is larger"
            ))),
            std::cmp::Ordering::Greater => Err(ValueError::new(format!(
                "`{first}-{last}` is no range, the first port is larger than the last: write {last}-{first}"
            ))),
        }
    }

    /// The smallest port.
    #[must_use]
    pub const fn first(self) -> Port {
        self.first
    }

    /// The largest port.
    #[must_use]
    pub const fn last(self) -> Port {
        self.last
    }

    /// The number of ports, at least 2.
    #[must_use]
    pub const fn count(self) -> u32 {
        self.last.get() as u32 - self.first.get() as u32 + 1
    }

    /// The numbers.
    #[must_use]
    pub const fn numbers(self) -> RangeInclusive<u16> {
        self.first.get()..=self.last.get()
    }

    /// Whether the two have a port in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some((first, last)) = text.split_once('-') else {
            return Err(ValueError::new(format!(
                "`{text}` is not a range of ports: expected a first and a last port such as 8000-8100"
            )));
        };
        let read = |port: &str| {
            port.trim()
                .parse::<Port>()
                .map_err(|error| ValueError::new(format!("in the range `{text}`, {error}")))
        };
        Self::new(read(first)?, read(last)?)
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a range of ports such as 8000-8100")
    }
}

impl JsonSchema for PortRange {
    fn schema_name() -> Cow<'static, str> {
        "PortRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema(
            "A first and a last port, such as 8000-8100.",
            r"^\s*[0-9]{1,5}\s*-\s*[0-9]{1,5}\s*$",
        )
    }
}
