use super::{Shared32, Shared64, plain::plain};

/// Datagrams in one line.
pub const FRAGMENT_WAYS: usize = 5;

/// Fragmented datagrams on their way, so that later fragments follow the first. One cache line per bucket.
#[repr(C, align(64))]
#[derive(Clone, Debug, Default)]
pub struct FragmentLine {
    /// Tag (39 bits of the hash over source, destination, protocol and identification) above a
    /// [`FragmentTarget`] (25 bits); zero if free.
    pub datagrams: [Shared64; FRAGMENT_WAYS],
    /// Tick in which the first fragment was seen.
    pub seen: [Shared32; FRAGMENT_WAYS],
    /// Zero.
    pub reserved: Shared32,
}

/// Where the fragments of a datagram go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FragmentTarget {
    /// Encapsulated to this backend.
    Backend(u32),
    /// Translated by this NAT record.
    Nat(u32),
}

impl FragmentTarget {
    const NAT: u64 = 1 << 24;
    /// The bits of the word that hold the target.
    pub const MASK: u64 = (1 << 25) - 1;

    /// As the low bits of a word.
    #[inline(always)]
    pub const fn bits(self) -> u64 {
        match self {
            Self::Backend(id) => id as u64 & (Self::NAT - 1),
            Self::Nat(index) => index as u64 & (Self::NAT - 1) | Self::NAT,
        }
    }

    /// From the low bits of a word.
    #[inline(always)]
    pub const fn from_bits(bits: u64) -> Self {
        let index = (bits & (Self::NAT - 1)) as u32;
        if bits & Self::NAT != 0 { Self::Nat(index) } else { Self::Backend(index) }
    }
}

plain!(FragmentLine);
const _: () = assert!(size_of::<FragmentLine>() == 64);
const _: () = assert!(
    core::mem::offset_of!(FragmentLine, reserved) + size_of::<Shared32>()
        == size_of::<FragmentLine>()
);
