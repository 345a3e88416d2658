//! Netlink attributes as bytes: a type, a length, a value, padded to four bytes.

/// A list of attributes that is being written.
#[derive(Clone, Debug, Default)]
pub(in crate::linux) struct Attributes(Vec<u8>);

impl Attributes {
    pub(in crate::linux) fn with(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(in crate::linux) fn with_u32(self, kind: u16, value: u32) -> Self {
        self.with(kind, &value.to_ne_bytes())
    }

    pub(in crate::linux) fn with_text(self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.with(kind, &bytes)
    }

    pub(in crate::linux) fn with_nested(self, kind: u16, inner: &Attributes) -> Self {
        const F_NESTED: u16 = 1 << 15;
        self.with(kind | F_NESTED, &inner.0)
    }

    pub(in crate::linux) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The value of the first attribute of this type.
pub(in crate::linux) fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    list(attributes).find(|(of, _)| *of == kind).map(|(_, value)| value)
}

/// All attributes, without the flags in their types.
pub(in crate::linux) fn list(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(bytes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(bytes.get(2..4)?.try_into().ok()?) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

pub(in crate::linux) fn u32_of(value: &[u8]) -> Option<u32> {
    Some(u32::from_ne_bytes(value.get(..4)?.try_into().ok()?))
}

pub(in crate::linux) fn text_of(value: &[u8]) -> String {
    let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let inner = Attributes::default().with_u32(1, 7).with_text(2, "abc");
        let outer = Attributes::default().with(9, &[1]).with_nested(3, &inner);
        assert_eq!(outer.bytes().len() % 4, 0);
        assert_eq!(find(outer.bytes(), 9), Some(&[1u8][..]));
        let nested = find(outer.bytes(), 3).unwrap();
        assert_eq!(find(nested, 1).and_then(u32_of), Some(7));
        assert_eq!(find(nested, 2).map(text_of).as_deref(), Some("abc"));
        assert_eq!(find(nested, 4), None);
        assert_eq!(list(&[200, 0, 1, 0, 0]).count(), 0);
    }
}
