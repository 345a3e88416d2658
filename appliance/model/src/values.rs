//! The words that objects are made of. Each type accepts only what is right, says what it expected otherwise, and
//! is written as it was read.

pub(crate) mod address;
mod link_name;
mod name;
mod port;
mod port_spec;
mod prefix;
mod probe_bytes;
mod status_pattern;
mod time_span;
mod weight;

pub use link_name::LinkName;
pub use name::Name;
pub use port::{Port, PortRange};
pub use port_spec::PortSpec;
pub use prefix::Prefix;
pub use probe_bytes::ProbeBytes;
pub use status_pattern::StatusPattern;
pub use time_span::TimeSpan;
pub use weight::Weight;

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserializer, de};

/// Why a text or a number is not a value of its type: what was found, what was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ValueError(String);

impl ValueError {
    /// An error with this message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Reads a value that is written as a string. `expected` is the word for it in messages.
pub(crate) fn from_text<'de, T: FromStr<Err = ValueError>, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<T, D::Error> {
    struct Text<T> {
        expected: &'static str,
        value: PhantomData<T>,
    }

    impl<T: FromStr<Err = ValueError>> de::Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.expected)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Text { expected, value: PhantomData })
}

/// A JSON Schema of a value that is written as a string.
pub(crate) fn string_schema(description: &str, pattern: &str) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "description": description, "pattern": pattern })
}
