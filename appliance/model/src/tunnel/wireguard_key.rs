use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::values::{ValueError, from_text, string_schema};

/// A public key of WireGuard, written in base64 as `wg` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WireguardKey(pub [u8; 32]);

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// 43 letters of six bits and one `=`.
const LENGTH: usize = 44;

/// The 32 bytes; none if it is no such key.
pub(super) fn decode(text: &str) -> Option<[u8; 32]> {
    let letters = text.strip_suffix('=').filter(|_| text.len() == LENGTH)?;
    let mut bytes = [0; 32];
    let mut places = bytes.iter_mut();
    let (mut bits, mut count) = (0u32, 0);
    for letter in letters.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = bits << 6 | value as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            *places.next()? = (bits >> count) as u8;
            bits &= (1 << count) - 1;
        }
    }
    // What is left over of the last letter has no meaning, so that a key has one way to be written.
    (bits == 0).then_some(bytes)
}

impl FromStr for WireguardKey {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        // It may be a private key that got into the wrong field: it is not shown.
        decode(text).map(Self).ok_or_else(|| {
            ValueError::new(
                "this is not a key of WireGuard: expected 44 characters as `wg pubkey` writes them",
            )
        })
    }
}

impl fmt::Display for WireguardKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.chunks(3) {
            let word = chunk.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte));
            let bits = chunk.len() * 8;
            for index in 0..bits.div_ceil(6) {
                let shift = bits as i32 - 6 * (index as i32 + 1);
                let six = if shift >= 0 { word >> shift } else { word << -shift } & 63;
                let letter = LETTERS.get(six as usize).copied().unwrap_or(b'=');
                write!(f, "{}", char::from(letter))?;
            }
        }
        f.write_str("=")
    }
}

impl Serialize for WireguardKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WireguardKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, "a public key of WireGuard")
    }
}

impl JsonSchema for WireguardKey {
    fn schema_name() -> Cow<'static, str> {
        "WireguardKey".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema("A public key of WireGuard.", "^[A-Za-z0-9+/]{43}=$")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_they_are_read() {
        // The base point of the curve, 9 and zeros, and its neighbours in the alphabet.
        let nine = "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let mut bytes = [0; 32];
        bytes[0] = 9;
        assert_eq!(nine.parse(), Ok(WireguardKey(bytes)));
        for first in 0..=255 {
            let key =
                WireguardKey(std::array::from_fn(|index| first ^ (index as u8).wrapping_mul(37)));
            assert_eq!(key.to_string().parse(), Ok(key));
        }
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        let nine = "CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        for wrong in [
            &nine[1..],
            &nine.replace('=', "A"),
            &nine.replace("AAA=", "AAB="),
            &nine.replace('Q', "!"),
            "",
        ] {
            let error = wrong.parse::<WireguardKey>().unwrap_err().to_string();
            assert!(!error.contains("AAAA"), "{error}");
        }
    }
}
