use super::{Address, NatPool, Shared64, plain::plain};

/// One service: one cache line.
#[repr(C, align(64))]
#[derive(Clone, Debug, Default)]
pub struct Service {
    /// [`SlotRange`] as one word, so that a grown table is switched to by one write.
    pub slots: Shared64,
    /// How the service behaves.
    pub flags: ServiceFlags,
    /// Ticks after which a remembered flow that sent nothing may be forgotten.
    pub idle_ticks: u32,
    /// First allowed source range. In one aligned word with their number.
    pub sources: u32,
    /// How many there are; only read with [`ServiceFlags::SOURCES`].
    pub source_count: u32,
    /// Ticks after a change in which an unknown flow without a SYN (UDP) counts as older than the change.
    pub grace_ticks: u32,
    /// Where new NAT flows take their ports.
    pub pool: NatPool,
    /// The virtual address: NAT replies carry it as their source.
    pub address: Address,
    /// Zero.
    pub reserved: [u32; 3],
}

/// The Maglev slots of a service: `base..=base + mask`, a power of two of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SlotRange {
    /// First slot.
    pub base: u32,
    /// Number of slots less one.
    pub mask: u32,
}

impl SlotRange {
    /// As one word.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.base as u64 | (self.mask as u64) << 32
    }

    /// From [`SlotRange::word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self { base: word as u32, mask: (word >> 32) as u32 }
    }
}

/// How a service behaves.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceFlags(pub u32);

impl ServiceFlags {
    /// The record is in use.
    pub const USED: u32 = 1;
    /// Deliver by address translation; else by encapsulation (DSR).
    pub const NAT: u32 = 2;
    /// The slot is chosen by the source address alone.
    pub const AFFINITY: u32 = 4;
    /// Only listed sources are served.
    pub const SOURCES: u32 = 8;
    /// No backend may take packets and the service refuses: drop with [`super::Reason::DropNoBackend`].
    pub const REFUSE: u32 = 16;
    /// The virtual address is IPv6.
    pub const IPV6: u32 = 32;

    /// Whether one of these bits is set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

plain!(Service);
const _: () = assert!(size_of::<Service>() == 64);
// No padding behind the last field: uninitialised bytes would be read as words.
const _: () = assert!(core::mem::offset_of!(Service, reserved) + size_of::<[u32; 3]>() == 64);
const _: () = assert!(core::mem::offset_of!(Service, sources).is_multiple_of(8));
