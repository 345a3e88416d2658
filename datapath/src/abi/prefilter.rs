//! Longest match over a million prefixes in at most a few cache lines.
//!
//! First level: one bit per IPv4 /24 (2 MB, mostly in the second-level cache) says whether any prefix covers
//! or lies in it; for IPv6 a bit per *hash* of a /48 does the same for prefixes of 48 bits and longer.
//! Second level: a hash table of prefixes in cache lines, probed once per prefix length in use, longest first.
//!
//! Every table has two halves. The daemon builds a new set in the half that isn't active and switches by
//! writing one word of [`PrefilterControl`]. Single prefixes come and go in the active half.

use super::{Address, Shared32, plain::plain};

/// Prefix lengths of IPv4: 0 to 32.
pub const PREFILTER_MASKS4: usize = 33;
/// Prefix lengths of IPv6: 0 to 128.
pub const PREFILTER_MASKS6: usize = 129;
/// Words of 64 bits in one half of the IPv4 bitmap: a bit per /24.
pub const PREFILTER4_BITMAP_WORDS: u32 = 1 << 18;
/// Words of 64 bits in one half of the IPv6 bitmap: a bit per hash of a /48.
pub const PREFILTER6_BITMAP_WORDS: u32 = 1 << 18;
/// IPv6 prefixes of this length and longer are behind the bitmap.
pub const PREFILTER6_UNIT: u8 = 48;
/// Entries in a line of the IPv4 table.
pub const PREFILTER_WAYS4: usize = 8;
/// Entries in a line of the IPv6 table.
pub const PREFILTER_WAYS6: usize = 3;
/// Lines that a lookup reads at most per prefix length, from the home position on. A line whose last entry is
/// free ends the search. The builder grows the table until every prefix fits.
pub const PREFILTER_PROBES: u32 = 8;

/// Which half is active: 0 or 1.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct PrefilterControl {
    /// Active half of the IPv4 tables.
    pub active4: Shared32,
    /// Active half of the IPv6 tables.
    pub active6: Shared32,
}

/// How to search one half of the IPv4 tables.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub struct PrefilterHeader4 {
    /// Number of lines in use less one; the half's first line is its number times the table's half size.
    pub mask: u32,
    /// How many `masks` are in use.
    pub lengths: u32,
    /// Network masks (network order) of the lengths in use, longest first.
    pub masks: [u32; PREFILTER_MASKS4],
    /// The lengths themselves, in the same order.
    pub bits: [u32; PREFILTER_MASKS4],
}

/// How to search one half of the IPv6 tables.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub struct PrefilterHeader6 {
    /// Number of lines in use less one.
    pub mask: u32,
    /// How many `masks` are in use.
    pub lengths: u32,
    /// How many of them are [`PREFILTER6_UNIT`] and longer: skipped where the bitmap has no bit.
    pub units: u32,
    /// Zero.
    pub reserved: u32,
    /// Network masks of the lengths in use, longest first.
    pub masks: [Address; PREFILTER_MASKS6],
    /// The lengths themselves, in the same order; the last is padding.
    pub bits: [u32; PREFILTER_MASKS6 + 1],
}

/// What a prefix says: zero in a free entry, else used | action | length.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterWord(pub u32);

impl PrefilterWord {
    const USED: u32 = 1 << 31;
    const DENY: u32 = 1 << 30;

    /// That of an entry whose prefix was taken away where a free one would end the search: of no length that there is.
    pub const REMOVED: Self = Self::new(0xff, false);

    /// The word of a prefix of this length.
    #[inline(always)]
    pub const fn new(bits: u32, deny: bool) -> Self {
        Self(Self::USED | if deny { Self::DENY } else { 0 } | bits)
    }

    /// Whether the prefix denies.
    #[inline(always)]
    pub const fn denies(self) -> bool {
        self.0 & Self::DENY != 0
    }

    /// The prefix length.
    #[inline(always)]
    pub const fn bits(self) -> u32 {
        self.0 & 0xff
    }

    /// Whether the entry is used and of this length.
    #[inline(always)]
    pub const fn is_of(self, bits: u32) -> bool {
        self.0 & !Self::DENY == Self::USED | bits
    }
}

/// An IPv4 prefix.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterEntry4 {
    /// Network address.
    pub address: u32,
    /// What it says.
    pub word: PrefilterWord,
}

/// An IPv6 prefix.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterEntry6 {
    /// Network address.
    pub address: Address,
    /// What it says.
    pub word: PrefilterWord,
}

/// A line of the IPv4 table. Entries are filled from the front; a prefix that goes leaves a gap.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterLine4 {
    /// The entries.
    pub entries: [PrefilterEntry4; PREFILTER_WAYS4],
}

/// A line of the IPv6 table, filled as one of the IPv4 table.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterLine6 {
    /// The entries.
    pub entries: [PrefilterEntry6; PREFILTER_WAYS6],
    /// Zero.
    pub reserved: u32,
}

/// A candidate for 'the prefixes that hit most', on one CPU: a slot of an MV-Sketch (Tang, Huang, Lee,
/// INFOCOM 2019). The slot is chosen by the hash of the prefix; a prefix with more than half of a slot's hits
/// is its candidate, and its true number of hits lies between `votes` and `(hits + votes) / 2`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PrefilterHit {
    /// Network address of the candidate.
    pub address: Address,
    /// Its [`PrefilterWord`].
    pub word: PrefilterWord,
    /// 4 or 6; zero in a slot that was never hit.
    pub family: u32,
    /// Hits of all prefixes of the slot.
    pub hits: u64,
    /// Votes for the candidate: its hits less those of the others since it became candidate.
    pub votes: u64,
}

impl Default for PrefilterHeader4 {
    fn default() -> Self {
        Self { mask: 0, lengths: 0, masks: [0; PREFILTER_MASKS4], bits: [0; PREFILTER_MASKS4] }
    }
}

impl Default for PrefilterHeader6 {
    fn default() -> Self {
        Self {
            mask: 0,
            lengths: 0,
            units: 0,
            reserved: 0,
            masks: [[0; 4]; PREFILTER_MASKS6],
            bits: [0; PREFILTER_MASKS6 + 1],
        }
    }
}

plain!(
    PrefilterControl,
    PrefilterHeader4,
    PrefilterHeader6,
    PrefilterEntry4,
    PrefilterEntry6,
    PrefilterLine4,
    PrefilterLine6,
    PrefilterHit,
);
const _: () = assert!(size_of::<PrefilterLine4>() == 64 && size_of::<PrefilterLine6>() == 64);
const _: () = assert!(size_of::<PrefilterHeader4>() == 272);
const _: () = assert!(size_of::<PrefilterHeader6>() == 16 + 129 * 16 + 130 * 4);
const _: () = assert!(core::mem::offset_of!(PrefilterLine6, reserved) + 4 == 64);
