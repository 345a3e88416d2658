//! Bytes of a UDP probe.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::ValueError;

const HEX: &str = "hex:";

/// Bytes, written as text or, after `hex:`, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProbeBytes(Vec<u8>);

impl ProbeBytes {
    /// These bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Text where it is text, else the hexadecimal form.
impl fmt::Display for ProbeBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match std::str::from_utf8(&self.0) {
            Ok(text) if !text.starts_with(HEX) && !text.chars().any(char::is_control) => {
                f.write_str(text)
            }
            _ => {
                f.write_str(HEX)?;
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    }
}

impl FromStr for ProbeBytes {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some(digits) = text.strip_prefix(HEX) else {
            return Ok(Self(text.as_bytes().to_vec()));
        };
        let wrong = |what: String| {
            ValueError::new(format!(
                "`{text}` {what}: expected two hexadecimal digits a byte, such as hex:00ff"
            ))
        };
        if let Some(bad) = digits.chars().find(|digit| !digit.is_ascii_hexdigit()) {
            return Err(wrong(format!(
                "has `{}`, which is not a hexadecimal digit",
                bad.escape_debug()
            )));
        }
        if digits.len() % 2 == 1 {
            return Err(wrong("has half a byte too much".to_owned()));
        }
        let bytes =
            digits.as_bytes().chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1]));
        Ok(Self(bytes.collect()))
    }
}

/// The value of a hexadecimal digit.
const fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'A').wrapping_add(10),
    }
}

impl TryFrom<String> for ProbeBytes {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

impl From<ProbeBytes> for String {
    fn from(bytes: ProbeBytes) -> Self {
        bytes.to_string()
    }
}

impl JsonSchema for ProbeBytes {
    fn schema_name() -> Cow<'static, str> {
        "ProbeBytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "type": "string", "description": "Text, or bytes in hexadecimal after `hex:`." })
    }
}
