//! Texts that must not be shown, and the one-way forms of those that need not be kept.

use std::fmt;
use std::sync::Arc;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

/// Guessing one of 2^256 is out of reach.
const RANDOM_BYTES: usize = 32;

/// A text that is never shown: it can be neither printed nor written as JSON.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(from = "String")]
#[schemars(with = "String")]
pub struct Secret(Arc<str>);

impl Secret {
    /// A text that was given.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// A text that nobody can guess, made of letters, digits, `-` and `_`.
    ///
    /// # Errors
    /// When the kernel has no random numbers.
    pub fn random() -> Result<Self, NoRandom> {
        let mut bytes = [0; RANDOM_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
        Ok(Self(BASE64URL_NOPAD.encode(&bytes).into()))
    }

    /// The text itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that tells nothing but the length.
    pub fn is(&self, other: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(other).into()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The kernel gave no random numbers.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the kernel gave no random numbers: try again")]
pub struct NoRandom;

/// What is kept of a random secret: who reads it cannot use it. Random secrets are long, so a fast hash is enough.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Fingerprint(String);

impl Fingerprint {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Self(sha256(secret))
    }

    /// Compares in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint")
    }
}

/// The SHA-256 of bytes, in hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// A public name for something that has a secret too: twelve random digits.
pub(crate) fn public_id() -> Result<String, NoRandom> {
    let mut bytes = [0; 6];
    SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
    Ok(HEXLOWER.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_never_shown() {
        let secret = Secret::new("0123456789abcdef");
        let shown = format!("{secret:?} {:?}", Fingerprint::of(b"0123456789abcdef"));
        assert_eq!(shown, "Secret Fingerprint");
    }

    #[test]
    fn random_secrets_differ_and_have_256_bits() {
        let (one, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), 43);
        assert!(one.is(one.reveal().as_bytes()) && !one.is(other.reveal().as_bytes()));
    }
}
