use crate::abi::{Address, Count, PrefilterWord, plain::plain};

/// An IPv4 prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardPrefixKey4 {
    /// Its length in bits.
    pub bits: u32,
    /// Its network address, in network order; the bits behind the length are zero.
    pub address: u32,
}

/// An IPv6 prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardPrefixKey6 {
    /// Its length in bits.
    pub bits: u32,
    /// Its network address; the bits behind the length are zero.
    pub address: Address,
}

/// What a prefix says, and the packets that it decided. The longest prefix *on the card* decides: with a prefix
/// that denies, every prefix inside it that allows must be on the card too.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardPrefix {
    /// As in the host's tables.
    pub word: PrefilterWord,
    /// Zero.
    pub reserved: u32,
    /// What it decided, dropped or not.
    pub count: Count,
}

plain!(CardPrefixKey4, CardPrefixKey6, CardPrefix);
const _: () = assert!(size_of::<CardPrefixKey4>() == 8 && size_of::<CardPrefixKey6>() == 20);
const _: () = assert!(size_of::<CardPrefix>() == 24);
const _: () = assert!(core::mem::offset_of!(CardPrefix, count) == 8);
