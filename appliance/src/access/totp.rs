//! Codes that change every 30 seconds (RFC 6238, with HMAC-SHA-1 and six digits as all authenticator apps know it).

use std::fmt;

use data_encoding::BASE32_NOPAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use super::secret::NoRandom;

/// RFC 4226, section 4: at least 128 bits, 160 recommended.
const KEY_BYTES: usize = 20;
const STEP_SECONDS: u64 = 30;
/// Clocks differ: the code before and the one after are accepted too.
const AROUND: u64 = 1;

/// The key that user and daemon share. It must be kept as it is; it is never shown after it was accepted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct TotpKey(String);

impl fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpKey")
    }
}

impl TotpKey {
    pub(super) fn random() -> Result<Self, NoRandom> {
        let mut bytes = [0; KEY_BYTES];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandom)?;
        Ok(Self(BASE32_NOPAD.encode(&bytes)))
    }

    /// The key for typing, and the address that apps read from a QR code.
    pub(super) fn reveal(&self, user: &str) -> (String, String) {
        let uri = format!("otpauth://totp/Sluice:{user}?secret={}&issuer=Sluice", self.0);
        (self.0.clone(), uri)
    }

    /// The number of the step whose code this is, if it is one of those around now and later than `after`: a code that
    /// was used is worth nothing (RFC 6238, section 5.2).
    pub(super) fn step_of(&self, code: &str, unix_seconds: u64, after: Option<u64>) -> Option<u64> {
        let key = BASE32_NOPAD.decode(self.0.as_bytes()).ok()?;
        let now = unix_seconds / STEP_SECONDS;
        (now.saturating_sub(AROUND)..=now + AROUND)
            .filter(|step| after.is_none_or(|after| *step > after))
            .find(|step| {
                let right = format!("{:06}", hotp(&key, *step) % 1_000_000);
                subtle::ConstantTimeEq::ct_eq(right.as_bytes(), code.as_bytes()).into()
            })
    }
}

/// RFC 4226, section 5.3: 31 bits of the HMAC, from where its last four bits say.
fn hotp(key: &[u8], counter: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key);
    let tag = hmac::sign(&key, &counter.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or(0) & 0xf);
    let word = bytes.get(offset..offset + 4).and_then(|word| <[u8; 4]>::try_from(word).ok());
    u32::from_be_bytes(word.unwrap_or_default()) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> TotpKey {
        TotpKey(BASE32_NOPAD.encode(b"12345678901234567890"))
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B: the last six of the eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(key().step_of(code, seconds, None), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_code_works_once_and_not_for_long() {
        let used = key().step_of("287082", 59, None);
        assert_eq!(used, Some(1));
        assert_eq!(key().step_of("287082", 59, used), None, "a second time");
        assert_eq!(key().step_of("287082", 89, None), Some(1), "one step late");
        assert_eq!(key().step_of("287082", 90, None), None, "two steps late");
        assert_eq!(key().step_of("287083", 59, None), None);
        assert_eq!(key().step_of("", 59, None), None);
        assert!(!format!("{:?}", key()).contains("GEZ"));
    }
}
