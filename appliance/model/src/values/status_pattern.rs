//! HTTP status codes that a probe accepts.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::ValueError;

/// One HTTP status code (`204`) or a class of them (`"3xx"`), RFC 9110, section 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatusPattern {
    /// One code, 100 to 599.
    Code(u16),
    /// All codes with this first digit, 1 to 5.
    Class(u8),
}

impl StatusPattern {
    /// Whether this status code is meant.
    #[must_use]
    pub fn matches(self, code: u16) -> bool {
        match self {
            Self::Code(expected) => expected == code,
            Self::Class(class) => u16::from(class) == code / 100,
        }
    }
}

impl fmt::Display for StatusPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => code.fmt(f),
            Self::Class(class) => write!(f, "{class}xx"),
        }
    }
}

impl FromStr for StatusPattern {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.as_bytes() {
            [class @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] => Ok(Self::Class(class - b'0')),
            [b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] => {
                text.parse().map(Self::Code).map_err(|_| wrong(text))
            }
            _ => Err(wrong(text)),
        }
    }
}

fn wrong(text: &str) -> ValueError {
    ValueError::new(format!(
        "`{text}` is not an HTTP status: expected 100 to 599, or a class such as 3xx"
    ))
}

impl Serialize for StatusPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Code(code) => code.serialize(serializer),
            Self::Class(_) => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for StatusPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StatusPatternVisitor)
    }
}

struct StatusPatternVisitor;

impl de::Visitor<'_> for StatusPatternVisitor {
    type Value = StatusPattern;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an HTTP status such as 200, or a class such as 3xx")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<StatusPattern, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<StatusPattern, E> {
        number.to_string().parse().map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<StatusPattern, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for StatusPattern {
    fn schema_name() -> Cow<'static, str> {
        "StatusPattern".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An HTTP status such as 200, or a class such as 3xx.",
            "oneOf": [
                { "type": "integer", "minimum": 100, "maximum": 599 },
                { "type": "string", "pattern": "^[1-5](xx|XX|[0-9][0-9])$" },
            ],
        })
    }
}
