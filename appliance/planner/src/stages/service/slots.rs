//! The Maglev slots of one service: which change, and how.

use std::net::IpAddr;

use sluice_datapath::{
    abi::{Move, NO_BACKEND, Shared32, Shared64, Slot, SlotRange},
    hash::{Member, slots},
};

use crate::{
    Clock, Run,
    change::{self, Moment, MovingSlot},
    facts::Endpoint,
};

/// The tables of slots as they are in the kernel now.
#[derive(Clone, Copy)]
pub struct SlotWords<'a> {
    /// The words of `SLOTS`.
    pub slots: &'a [Shared64],
    /// The words of `MOVES`.
    pub moves: &'a [Shared64],
}

impl SlotWords<'_> {
    /// No slots: nothing is in the kernel yet.
    pub const NONE: Self = Self { slots: &[], moves: &[] };

    /// One slot with its clock. Without one the slot is quiet and has no backend.
    #[must_use]
    pub fn read(&self, index: u32) -> MovingSlot {
        let word = |words: &[Shared64]| words.get(index as usize).map_or(0, Shared64::get);
        // `Move` is two words of 32 bits, `since` first; the datapath's target is little-endian.
        let clock = word(self.moves);
        MovingSlot {
            slot: Slot::from_word(word(self.slots)),
            since: clock as u32,
            seen: (clock >> 32) as u32,
        }
    }
}

/// Who shall have the slots of a service.
pub struct Sharing<'a> {
    /// Ids, endpoints and weights of those that take new flows.
    pub members: &'a [(u32, Endpoint, u32)],
    /// Whether these are the same as last time, so that every slot's `now` is right already.
    pub is_unchanged: bool,
    /// Whether the flows have records of their own (NAT), so that slots are for new flows only.
    pub has_records: bool,
}

/// What becomes of the slots.
pub struct SlotChange {
    /// Slots to write.
    pub slots: Vec<Run<u64>>,
    /// Clocks to write before them.
    pub moves: Vec<Run<Move>>,
    /// How many are moving afterwards.
    pub moving: u32,
    /// How many got another backend for new flows.
    pub changed: u32,
    /// Backend for new flows of each slot; empty if nobody takes any.
    pub owners: Vec<u32>,
}

/// Changes the slots of a service: `old` is its region so far, if it has one, `new` the one it shall have, the same
/// or a larger one that nobody reads yet.
pub fn change(
    old: Option<SlotRange>,
    new: SlotRange,
    words: SlotWords,
    sharing: &Sharing,
    moment: &Moment,
) -> SlotChange {
    let wanted = if sharing.is_unchanged { Vec::new() } else { owners(sharing.members, new) };
    let in_place = old == Some(new);
    let (mut slots, mut moves) = (Vec::new(), Vec::new());
    let (mut moving, mut changed) = (0, 0);
    for offset in 0..=new.mask {
        let current = match old {
            Some(old) => words.read(old.base + change::origin(offset, old.mask)),
            None => unused(moment),
        };
        let now = if sharing.is_unchanged {
            current.slot.now
        } else {
            wanted.get(offset as usize).copied().unwrap_or(NO_BACKEND)
        };
        let next = if sharing.has_records || old.is_none() {
            change::next_of_recorded(current, now)
        } else {
            change::next(current, now, moment)
        };
        moving += u32::from(next.slot.is_moving());
        changed += u32::from(next.slot.now != current.slot.now);
        let index = new.base + offset;
        if !in_place || next.slot != current.slot {
            slots.push((index, next.slot.word()));
        }
        if !in_place || (next.since, next.seen) != (current.since, current.seen) {
            let clock = Move { since: Shared32::new(next.since), seen: Shared32::new(next.seen) };
            moves.push((index, clock));
        }
    }
    SlotChange { slots: Run::join(slots), moves: Run::join(moves), moving, changed, owners: wanted }
}

/// A slot that never was in use: nobody remembers a flow of it.
fn unused(moment: &Moment) -> MovingSlot {
    let long_ago = moment.clock.tick.wrapping_sub(moment.idle_ticks).wrapping_sub(1);
    MovingSlot { slot: Slot::default(), since: long_ago, seen: long_ago }
}

/// Backend of each slot.
fn owners(members: &[(u32, Endpoint, u32)], range: SlotRange) -> Vec<u32> {
    let table: Vec<Member> = members
        .iter()
        .map(|(_, endpoint, weight)| Member { key: key(endpoint), weight: *weight })
        .collect();
    let mut owners = slots(&table, (range.mask + 1).trailing_zeros());
    for owner in &mut owners {
        *owner = members[*owner as usize].0;
    }
    owners
}

/// What a backend is in the Maglev table: the same on every gateway, whatever its id is there (FNV-1a, Fowler, Noll,
/// Vo).
fn key(endpoint: &Endpoint) -> u64 {
    let address = match endpoint.address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let bytes = address.into_iter().chain(endpoint.port.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// The clock of a plan for one service.
pub fn moment<'a>(clock: &'a Clock, idle_ticks: u32, gone: &'a dyn Fn(u32) -> bool) -> Moment<'a> {
    Moment { clock, idle_ticks, gone }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn clock(tick: u32) -> Clock {
        Clock { tick, tick_duration: Duration::from_millis(256), tick_shift: 6 }
    }

    fn members(ids: &[u32]) -> Vec<(u32, Endpoint, u32)> {
        ids.iter()
            .map(|&id| (id, Endpoint { address: [10, 0, 0, id as u8].into(), port: 80 }, 1))
            .collect()
    }

    /// Tables in memory that changes are written to.
    struct Memory {
        slots: Vec<Shared64>,
        moves: Vec<Shared64>,
    }

    impl Memory {
        fn new() -> Self {
            let zero = |_| Shared64::new(0);
            Self { slots: (0..2048).map(zero).collect(), moves: (0..2048).map(zero).collect() }
        }

        fn words(&self) -> SlotWords<'_> {
            SlotWords { slots: &self.slots, moves: &self.moves }
        }

        fn apply(&self, change: &SlotChange) {
            for run in &change.moves {
                for (index, value) in (run.first..).zip(&run.values) {
                    let word = u64::from(value.since.get()) | u64::from(value.seen.get()) << 32;
                    self.moves[index as usize].set(word);
                }
            }
            for run in &change.slots {
                for (index, &value) in (run.first..).zip(&run.values) {
                    self.slots[index as usize].set(value);
                }
            }
        }

        fn change(
            &self,
            tick: u32,
            old: Option<SlotRange>,
            new: SlotRange,
            ids: &[u32],
            unchanged: bool,
        ) -> SlotChange {
            let (clock, gone) = (clock(tick), |_| false);
            let members = members(ids);
            let sharing =
                Sharing { members: &members, is_unchanged: unchanged, has_records: false };
            let change = change(old, new, self.words(), &sharing, &moment(&clock, 100, &gone));
            self.apply(&change);
            change
        }
    }

    const SMALL: SlotRange = SlotRange { base: 256, mask: 255 };
    const LARGE: SlotRange = SlotRange { base: 512, mask: 511 };

    #[test]
    fn new_slots_are_quiet() {
        let memory = Memory::new();
        let change = memory.change(1000, None, SMALL, &[1, 2], false);
        assert_eq!((change.moving, change.changed), (0, 256));
        assert_eq!((change.slots.len(), change.moves.len()), (1, 1));
        let first = memory.words().read(256);
        assert!([1, 2].contains(&first.slot.now) && first.seen == 899);
    }

    #[test]
    fn only_slots_that_change_are_written() {
        let memory = Memory::new();
        memory.change(1000, None, SMALL, &[1, 2], false);
        let change = memory.change(1001, Some(SMALL), SMALL, &[1, 2], false);
        assert!(change.slots.is_empty() && change.moves.is_empty());
        let change = memory.change(1002, Some(SMALL), SMALL, &[1], false);
        assert_eq!((change.changed, change.moving), (128, 128));
        assert_eq!(change.slots.iter().map(|run| run.values.len()).sum::<usize>(), 128);
    }

    #[test]
    fn time_alone_makes_slots_quiet() {
        let memory = Memory::new();
        memory.change(1000, None, SMALL, &[1, 2], false);
        memory.change(1002, Some(SMALL), SMALL, &[1], false);
        assert_eq!(memory.change(1102, Some(SMALL), SMALL, &[1], true).moving, 128);
        let change = memory.change(1103, Some(SMALL), SMALL, &[1], true);
        assert_eq!((change.moving, change.changed, change.owners.len()), (0, 0, 0));
    }

    #[test]
    fn a_larger_table_grows_from_the_slots_of_the_old() {
        let memory = Memory::new();
        memory.change(1000, None, SMALL, &[1, 2], false);
        memory.change(1002, Some(SMALL), SMALL, &[2], false);
        let change = memory.change(1010, Some(SMALL), LARGE, &[2, 3], false);
        assert_eq!(change.slots[0].values.len(), 512);
        for offset in 0..512 {
            let (old, new) =
                (memory.words().read(256 + offset % 256), memory.words().read(512 + offset));
            let before = if old.slot.is_moving() { old.slot.before } else { old.slot.now };
            let expected = if new.slot.now == old.slot.now { old.slot.before } else { before };
            assert_eq!(new.slot.before, expected);
        }
    }

    #[test]
    fn the_same_backend_has_the_same_slots_whatever_its_id() {
        let (memory, other) = (Memory::new(), Memory::new());
        let plain = memory.change(1000, None, SMALL, &[1, 2], false);
        let endpoints = members(&[1, 2]);
        let renamed: Vec<_> = endpoints
            .iter()
            .rev()
            .map(|(id, endpoint, weight)| (id + 10, *endpoint, *weight))
            .collect();
        let sharing = Sharing { members: &renamed, is_unchanged: false, has_records: true };
        let (clock, gone) = (clock(1000), |_| false);
        let renamed = change(None, SMALL, other.words(), &sharing, &moment(&clock, 100, &gone));
        assert!(plain.owners.iter().zip(&renamed.owners).all(|(a, b)| a + 10 == *b));
    }
}
