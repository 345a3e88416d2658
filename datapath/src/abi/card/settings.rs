use crate::abi::plain::plain;

/// How many prefix lengths of a family a card looks up: each costs a lookup per packet.
pub const CARD_LENGTHS: usize = 8;

/// What the card's program does with packets of one family; entry 0 of its table is IPv4, entry 1 IPv6. A program
/// whose settings were never written passes everything.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardSettings {
    /// Which stages are on. One word, so that they are switched at once.
    pub flags: CardFlags,
    /// [`super::CARD_ABI_VERSION`]; only for user space.
    pub version: u32,
    /// With [`CardFlags::SAMPLE`]: a flow whose hash has none of these bits is one that user space hears of, and its
    /// beginning goes to the host. See [`crate::abi::Settings::flow_sample_shift`].
    pub sample_mask: u32,
    /// Zero.
    pub reserved: u32,
    /// The prefix lengths of the family that the card holds, longest first; unused ones at the end.
    pub lengths: [CardLength; CARD_LENGTHS],
}

impl CardSettings {
    /// Entry of IPv4.
    pub const IPV4: u32 = 0;
    /// Entry of IPv6.
    pub const IPV6: u32 = 1;
    /// How many entries there are.
    pub const COUNT: u32 = 2;
}

/// Which stages the card does for a family, as bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardFlags(pub u32);

impl CardFlags {
    /// Ask the prefixes on the card.
    pub const PREFILTER: u32 = 1;
    /// Deliver to the services on the card. Only if the host has no prefilter for the family, or the card has all
    /// of it and [`CardFlags::PREFILTER`] is on.
    pub const SERVICE: u32 = 1 << 1;
    /// The host tells user space of some flows that begin: leave those to it.
    pub const SAMPLE: u32 = 1 << 2;

    /// Whether one of these bits is set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

/// A prefix length in use, or none.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardLength(pub u32);

impl CardLength {
    /// No length. Not zero bits, which is the length that covers everything.
    pub const UNUSED: Self = Self(0);
    const USED: u32 = 1 << 8;

    /// This length.
    #[inline(always)]
    pub const fn new(bits: u32) -> Self {
        Self(Self::USED | bits)
    }

    /// The length, if there is one.
    #[inline(always)]
    pub const fn bits(self) -> Option<u32> {
        if self.0 & Self::USED == 0 { None } else { Some(self.0 & 0xff) }
    }
}

plain!(CardSettings);
const _: () = assert!(size_of::<CardSettings>() == 48);
const _: () = assert!(
    core::mem::offset_of!(CardSettings, lengths) + CARD_LENGTHS * 4 == size_of::<CardSettings>()
);
