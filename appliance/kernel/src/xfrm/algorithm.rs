use super::{
    Key,
    constants::{ALG_NAME, XFRMA_ALG_AEAD, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_CRYPT},
    wire::{Malformed, Read, Reader, Writer},
};
use std::fmt;

/// How a state encrypts and authenticates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithms {
    /// Both in one, as all suites of Sluice do.
    Aead(Aead),
    /// A cipher, an authentication, or both. A state with neither is what the kernel tells about in short forms.
    Apart {
        /// What encrypts.
        cipher: Option<Cipher>,
        /// What authenticates.
        authentication: Option<Authentication>,
    },
}

impl Algorithms {
    /// Neither.
    pub const NONE: Self = Self::Apart { cipher: None, authentication: None };

    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Aead(aead) => writer.attribute(XFRMA_ALG_AEAD, |writer| aead.write(writer)),
            Self::Apart { cipher, authentication } => {
                if let Some(authentication) = authentication {
                    writer.attribute(XFRMA_ALG_AUTH_TRUNC, |writer| authentication.write(writer));
                }
                if let Some(cipher) = cipher {
                    writer.attribute(XFRMA_ALG_CRYPT, |writer| cipher.write(writer));
                }
            }
        }
    }
}

/// The name of an algorithm in the kernel's words.
#[derive(Clone, PartialEq, Eq)]
struct Name([u8; ALG_NAME]);

impl Name {
    /// Cut after 63 bytes: no algorithm has a longer one.
    fn new(text: &str) -> Self {
        let mut name = [0; ALG_NAME];
        for (to, from) in name.iter_mut().take(ALG_NAME - 1).zip(text.bytes()) {
            *to = from;
        }
        Self(name)
    }

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let bytes: [u8; ALG_NAME] = reader.array()?;
        let length = bytes.iter().position(|byte| *byte == 0);
        let text = bytes.get(..length.ok_or(Malformed::Length("the name of an algorithm"))?);
        let text = std::str::from_utf8(text.unwrap_or_default());
        Ok(Self::new(text.map_err(|_| Malformed::Value("the name of an algorithm"))?))
    }

    fn as_str(&self) -> &str {
        let text = self.0.split(|byte| *byte == 0).next().unwrap_or_default();
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

fn read_key(reader: &mut Reader<'_>, bits: u32) -> Read<Key> {
    let key = reader.take(bits.div_ceil(8) as usize)?;
    Key::new(key).map_err(|_| Malformed::Length("a key"))
}

/// Algorithms that encrypt and authenticate in one, which Sluice uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suite {
    /// RFC 4106, a key of 128 bits.
    AesGcm128,
    /// RFC 4106, a key of 256 bits.
    AesGcm256,
    /// RFC 7634.
    ChaCha20Poly1305,
}

impl Suite {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AesGcm128, Self::AesGcm256, Self::ChaCha20Poly1305];
    /// Length of the authentication tag.
    pub const TAG_BITS: u32 = 128;

    /// The name in the kernel.
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::AesGcm128 | Self::AesGcm256 => "rfc4106(gcm(aes))",
            Self::ChaCha20Poly1305 => "rfc7539esp(chacha20,poly1305)",
        }
    }

    /// Length of key and salt (4 bytes, behind the key).
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::AesGcm128 => 16 + 4,
            Self::AesGcm256 | Self::ChaCha20Poly1305 => 32 + 4,
        }
    }
}

/// `struct xfrm_algo_aead`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aead {
    name: Name,
    key: Key,
    tag_bits: u32,
}

impl Aead {
    /// An algorithm by the kernel's name; the key ends with the salt.
    pub fn new(name: &str, key: Key, tag_bits: u32) -> Self {
        Self { name: Name::new(name), key, tag_bits }
    }

    /// A suite with its tag; none if the key, which ends with the salt, has another length than the suite wants.
    pub fn of(suite: Suite, key: Key) -> Option<Self> {
        let fits = key.expose().len() == suite.key_bytes();
        fits.then(|| Self::new(suite.kernel_name(), key, Suite::TAG_BITS))
    }

    /// Which suite it is; none if it is one that Sluice does not use.
    pub fn suite(&self) -> Option<Suite> {
        Suite::ALL.into_iter().find(|suite| {
            suite.kernel_name() == self.name()
                && suite.key_bytes() == self.key.expose().len()
                && self.tag_bits == Suite::TAG_BITS
        })
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The key with its salt.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Length of the authentication tag.
    pub fn tag_bits(&self) -> u32 {
        self.tag_bits
    }

    fn write(&self, writer: &mut Writer) {
        write_tagged(writer, &self.name, &self.key, self.tag_bits);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let (name, key, tag_bits) = read_tagged(&mut reader)?;
        Ok(Self { name, key, tag_bits })
    }
}

/// `struct xfrm_algo_aead` and `struct xfrm_algo_auth` are laid out alike.
fn write_tagged(writer: &mut Writer, name: &Name, key: &Key, tag_bits: u32) {
    writer.bytes(&name.0);
    writer.u32(key.bits());
    writer.u32(tag_bits);
    writer.bytes(key.expose());
}

fn read_tagged(reader: &mut Reader<'_>) -> Read<(Name, Key, u32)> {
    let name = Name::read(reader)?;
    let (bits, tag_bits) = (reader.u32()?, reader.u32()?);
    Ok((name, read_key(reader, bits)?, tag_bits))
}

/// `struct xfrm_algo_auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authentication {
    name: Name,
    key: Key,
    tag_bits: u32,
}

impl Authentication {
    /// An algorithm by the kernel's name, such as `hmac(sha256)`, whose result is cut to `tag_bits`.
    pub fn new(name: &str, key: Key, tag_bits: u32) -> Self {
        Self { name: Name::new(name), key, tag_bits }
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    fn write(&self, writer: &mut Writer) {
        write_tagged(writer, &self.name, &self.key, self.tag_bits);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let (name, key, tag_bits) = read_tagged(&mut reader)?;
        Ok(Self { name, key, tag_bits })
    }

    /// `XFRMA_ALG_AUTH`, which old kernels give alone, has no length of the tag: 0 stands for the algorithm's own.
    pub(super) fn read_plain(mut reader: Reader<'_>) -> Read<Self> {
        let name = Name::read(&mut reader)?;
        let bits = reader.u32()?;
        Ok(Self { name, key: read_key(&mut reader, bits)?, tag_bits: 0 })
    }
}

/// `struct xfrm_algo` of a cipher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cipher {
    name: Name,
    key: Key,
}

impl Cipher {
    /// A cipher by the kernel's name, such as `cbc(aes)`.
    pub fn new(name: &str, key: Key) -> Self {
        Self { name: Name::new(name), key }
    }

    /// The kernel's name.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    fn write(&self, writer: &mut Writer) {
        writer.bytes(&self.name.0);
        writer.u32(self.key.bits());
        writer.bytes(self.key.expose());
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let name = Name::read(&mut reader)?;
        let bits = reader.u32()?;
        Ok(Self { name, key: read_key(&mut reader, bits)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_wants_its_key() {
        for suite in Suite::ALL {
            let key = |bytes: usize| Key::new(&vec![1; bytes]).unwrap();
            let aead = Aead::of(suite, key(suite.key_bytes())).unwrap();
            assert_eq!(aead.suite(), Some(suite));
            assert_eq!(Aead::of(suite, key(suite.key_bytes() - 4)), None, "the salt is missing");
        }
        let short_tag = Aead::new("rfc4106(gcm(aes))", Key::new(&[1; 20]).unwrap(), 96);
        assert_eq!(short_tag.suite(), None);
    }
}
