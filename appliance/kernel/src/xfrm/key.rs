use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Key material. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Key(Box<[u8]>);

/// A key longer than any algorithm has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key of {0} bytes: no algorithm has more than {max}", max = Key::MAX_BYTES)]
pub struct KeyLength(pub usize);

impl Key {
    /// More than any algorithm's key with its salt.
    pub const MAX_BYTES: usize = 512;

    /// A copy of these bytes; wiping the original is the caller's.
    ///
    /// # Errors
    /// When there are more than [`Key::MAX_BYTES`].
    pub fn new(bytes: &[u8]) -> Result<Self, KeyLength> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(KeyLength(bytes.len()));
        }
        Ok(Self(bytes.into()))
    }

    /// The bytes, for the kernel and for nobody else.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Length in bits, as the kernel counts.
    pub fn bits(&self) -> u32 {
        self.0.len() as u32 * 8
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bits)", self.bits())
    }
}

/// Takes as long for equal keys as for others.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        let differences = self.0.iter().zip(&other.0).fold(0, |all, (one, two)| all | (one ^ two));
        self.0.len() == other.0.len() && std::hint::black_box(differences) == 0
    }
}

impl Eq for Key {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_not_printed() {
        let key = Key::new(b"\x11\x22secret").unwrap();
        assert_eq!(format!("{key:?}"), "Key(64 bits)");
        assert_eq!(format!("{key:#?}"), "Key(64 bits)");
    }

    #[test]
    fn keys_are_compared_whole() {
        let key = |bytes: &[u8]| Key::new(bytes).unwrap();
        assert_eq!(key(b"abcd"), key(b"abcd"));
        assert_ne!(key(b"abcd"), key(b"abce"));
        assert_ne!(key(b"abcd"), key(b"abc"));
        assert_ne!(key(b""), key(b"a"));
        assert_eq!(Key::new(&[0; 513]), Err(KeyLength(513)));
    }

    #[test]
    fn a_key_is_wiped() {
        let mut key = Key::new(&[7; 32]).unwrap();
        key.zeroize();
        assert_eq!(key.expose(), &[0; 32]);
    }
}
