use super::{Shared32, Shared64, plain::plain};

/// No backend: in `now` nobody serves the slot, in `before` the slot is quiet.
pub const NO_BACKEND: u32 = 0;

/// One Maglev slot as one word, so that it changes by one write.
///
/// `before == NO_BACKEND`: the slot is *quiet*, all its flows belong to `now`. Otherwise it is *moving*:
/// remembered flows keep their backend, other old flows belong to `before`, new ones to `now`. In a slot whose
/// old backend died while flows were remembered, `before == now`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Backend of new flows.
    pub now: u32,
    /// Backend of flows older than the change.
    pub before: u32,
}

impl Slot {
    /// As one word.
    #[inline(always)]
    pub const fn word(self) -> u64 {
        self.now as u64 | (self.before as u64) << 32
    }

    /// From [`Slot::word`].
    #[inline(always)]
    pub const fn from_word(word: u64) -> Self {
        Self { now: word as u32, before: (word >> 32) as u32 }
    }

    /// Whether flows of the slot may belong to another backend than `now`.
    #[inline(always)]
    pub const fn is_moving(self) -> bool {
        self.before != NO_BACKEND
    }
}

/// The clock of a moving slot, beside the slot's own word so that a quiet slot costs eight bytes of cache.
#[repr(C)]
#[derive(Clone, Debug, Default)]
pub struct Move {
    /// Tick in which the slot began to move.
    pub since: Shared32,
    /// Tick in which it last sent a packet to another backend than `now`.
    pub seen: Shared32,
}

plain!(Move);
const _: () = assert!(size_of::<Move>() == 8 && size_of::<Shared64>() == 8);
