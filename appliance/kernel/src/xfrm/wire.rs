//! Bytes, written and read in order. What was written is wiped: it may hold keys.

use netlink_packet_core::{NLA_ALIGNTO, NLA_HEADER_SIZE, NLA_TYPE_MASK};
use zeroize::Zeroizing;

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends before the field.
    #[error("the message ends before {0}")]
    Short(&'static str),
    /// A field has a value that is none.
    #[error("{0} has a value that does not exist")]
    Value(&'static str),
    /// A length in the message contradicts the message.
    #[error("the length of {0} contradicts the message")]
    Length(&'static str),
    /// A message of a type that is not known here.
    #[error("there is no message of type {0:#x} here")]
    Type(u16),
}

pub(crate) type Read<T> = Result<T, Malformed>;

/// Most messages fit; one that is longer moves once or twice, and what it leaves behind is wiped.
const ROOM: usize = 1024;

/// Bytes that are being written.
pub(crate) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    pub(crate) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let needed = self.0.len() + bytes.len();
        if needed > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(needed * 2));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.bytes(&[value]);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.bytes(&value.to_ne_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.bytes(&value.to_ne_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.bytes(&value.to_ne_bytes());
    }

    pub(crate) fn be16(&mut self, value: u16) {
        self.bytes(&value.to_be_bytes());
    }

    pub(crate) fn be32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Zeros up to `end`, counted from the first byte.
    pub(crate) fn pad_to(&mut self, end: usize) {
        const ZEROS: [u8; 64] = [0; 64];
        while let Some(missing) = end.checked_sub(self.len()).filter(|missing| *missing > 0) {
            self.bytes(ZEROS.get(..missing).unwrap_or(&ZEROS));
        }
    }

    /// An attribute. No value that is written here comes near the 65531 bytes for which its length has room: keys,
    /// bitmaps and templates are bounded by their types.
    pub(crate) fn attribute(&mut self, kind: u16, value: impl FnOnce(&mut Self)) {
        self.pad_to(self.len().next_multiple_of(NLA_ALIGNTO));
        let start = self.len();
        self.u16(0);
        self.u16(kind);
        value(self);
        let length = (self.len() - start) as u16;
        if let Some(place) = self.0.get_mut(start..start + 2) {
            place.copy_from_slice(&length.to_ne_bytes());
        }
        self.pad_to(self.len().next_multiple_of(NLA_ALIGNTO));
    }

    pub(crate) fn attribute_u32(&mut self, kind: u16, value: Option<u32>) {
        if let Some(value) = value {
            self.attribute(kind, |writer| writer.u32(value));
        }
    }
}

/// Bytes that are being read, with the name of what they are.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { bytes, what }
    }

    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) =
            self.bytes.split_at_checked(count).ok_or(Malformed::Short(self.what))?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed::Short(self.what))
    }

    pub(crate) fn skip(&mut self, count: usize) -> Read<()> {
        self.take(count).map(drop)
    }

    pub(crate) fn u8(&mut self) -> Read<u8> {
        Ok(u8::from_ne_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_ne_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_ne_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_ne_bytes(self.array()?))
    }

    pub(crate) fn be16(&mut self) -> Read<u16> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn be32(&mut self) -> Read<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A part of these bytes with a name of its own.
    pub(crate) fn part(&mut self, count: usize, what: &'static str) -> Read<Reader<'a>> {
        let bytes = self.take(count).map_err(|_| Malformed::Short(what))?;
        Ok(Reader::new(bytes, what))
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// All attributes that follow, without the flags in their types.
    pub(crate) fn attributes(mut self) -> Read<Vec<(u16, Reader<'a>)>> {
        let mut found = Vec::new();
        self.what = "an attribute";
        while self.bytes.len() >= NLA_HEADER_SIZE {
            let mut header = self;
            let (length, kind) = (usize::from(header.u16()?), header.u16()? & NLA_TYPE_MASK);
            let value_length =
                length.checked_sub(NLA_HEADER_SIZE).ok_or(Malformed::Length(self.what))?;
            let value = header.take(value_length)?;
            found.push((kind, Reader::new(value, "the end of an attribute")));
            // The last one may lack its padding.
            self.bytes = self.bytes.get(length.next_multiple_of(NLA_ALIGNTO)..).unwrap_or_default();
        }
        if self.bytes.is_empty() { Ok(found) } else { Err(Malformed::Short(self.what)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_read_again() {
        let mut writer = Writer::new();
        writer.attribute(7, |writer| writer.bytes(b"abcde"));
        writer.attribute_u32(8, Some(9));
        writer.attribute_u32(9, None);
        let bytes = writer.finish();
        assert_eq!(bytes.len(), 12 + 8);
        let found = Reader::new(&bytes, "test").attributes().unwrap();
        let [(7, text), (8, number)] = found.as_slice() else { panic!() };
        assert_eq!(text.rest(), b"abcde");
        assert_eq!({ *number }.u32(), Ok(9));
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        let refused = |bytes: &[u8]| Reader::new(bytes, "test").attributes().err();
        assert_eq!(refused(&[3, 0, 1, 0]), Some(Malformed::Length("an attribute")));
        assert_eq!(refused(&[9, 0, 1, 0, 0, 0, 0, 0]), Some(Malformed::Short("an attribute")));
        assert_eq!(refused(&[4, 0, 1]), Some(Malformed::Short("an attribute")));
        assert_eq!(refused(&[]), None);
    }

    #[test]
    fn a_long_message_moves_and_keeps_its_bytes() {
        let mut writer = Writer::new();
        for byte in 0..=255 {
            writer.bytes(&[byte; 9]);
        }
        writer.pad_to(4000);
        let bytes = writer.finish();
        assert_eq!(bytes.len(), 4000);
        assert_eq!((bytes[9 * 200], bytes[9 * 255 + 8], bytes[9 * 256]), (200, 255, 0));
    }
}
