//! How one Maglev slot changes so that no flow of a living backend is moved.
//!
//! What the datapath does in a slot `{ now, before }` (see [`Slot`] and `stages/select.rs` of the datapath):
//!
//! | slot | remembered flow | unknown flow that begins | unknown TCP flow without SYN | unknown UDP flow |
//! |---|---|---|---|---|
//! | quiet: `{N, -}` | `N`: memory isn't asked | `N` | `N` | `N` |
//! | moving: `{N, B}` | its own backend | `N`, remembered | `B` | `B` in the grace time, then `N`, remembered |
//!
//! So a moving slot divides its flows in two: the *unknown* ones, which all belong to `before`, and the *remembered*
//! ones, which belong to whoever was `now` when they began. A change while the slot moves touches `now` only: that
//! disturbs neither. The rest is about how a move ends:
//!
//! - `before` is gone (dead, disabled, or past its drain deadline): the unknown flows are lost, the remembered ones
//!   are not. `before` becomes `now`, which keeps the slot moving and sends what is unknown to `now`. With no `now`
//!   to point at (nobody may take new flows), `before` stays: a gone backend's record sends nothing.
//! - `now` comes back to `before` by a change: the same state, reached from the other side. All unknown flows are at
//!   `before`, the remembered ones at `before` or elsewhere.
//! - From that state, `now` changing again means that the unknown flows are at the old `now`, which is what `before`
//!   says already. Their UDP part must be given the grace time again.
//! - No packet went to another backend than `now` for longer than the idle limit: whatever the memory says of other
//!   backends has expired. The slot becomes quiet, and its `seen` keeps the time of that.
//! - A remembered backend that is neither `now` nor `before` needs no rule: if it lives, its flows keep the slot
//!   moving; if it is gone, the datapath sees that in its record and begins the flow anew.
//!
//! A quiet slot without a backend, or whose backend is gone, has nothing to keep: it stays quiet with the new backend.
//! Unless it became quiet not long ago: then the memory may still hold flows of a gone backend, which nobody corrects
//! while the slot is quiet, and which would be believed if that backend came back and the slot moved again. Such a slot
//! moves by memory alone until those flows have expired. (A slot that never was in use has its `seen` far in the past.)
//!
//! A slot of a service that translates addresses is always quiet: its flows have records of their own, slots are for
//! new flows only.

#[cfg(test)]
mod flows;

use crate::Clock;
use sluice_datapath::abi::{NO_BACKEND, Slot};

/// What is known when slots change.
pub struct Moment<'a> {
    /// Now.
    pub clock: &'a Clock,
    /// Ticks after which a flow that sent nothing may be forgotten.
    pub idle_ticks: u32,
    /// Whether flows of this backend are lost: it is dead, disabled, or past its drain deadline.
    pub gone: &'a dyn Fn(u32) -> bool,
}

/// A slot with its clock, as they stand in the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MovingSlot {
    /// The slot.
    pub slot: Slot,
    /// `Move::since`: tick in which it began to move.
    pub since: u32,
    /// `Move::seen`: tick in which it last sent a packet to another backend than `now`.
    pub seen: u32,
}

/// The slot's next state when its new flows shall go to `wanted`. Where `since` or `seen` differ from what was
/// given, they must be written before the slot is; otherwise they must be left to the datapath.
#[must_use]
pub fn next(current: MovingSlot, wanted: u32, moment: &Moment) -> MovingSlot {
    let current = settle(current, moment);
    let Slot { now, before } = current.slot;
    if !current.slot.is_moving() {
        return from_quiet(current, wanted, moment);
    }
    let before = match (moment.gone)(before) {
        true if wanted != NO_BACKEND => wanted,
        _ => before,
    };
    let mut next = MovingSlot { slot: Slot { now: wanted, before }, ..current };
    if wanted != now {
        // The flows of the old `now` count as seen elsewhere from here on; their own packets didn't say so.
        next.seen = moment.clock.tick;
        if current.slot.now == current.slot.before {
            next.since = moment.clock.tick;
        }
    }
    next
}

/// As [`next`] for a service whose flows have records of their own: a slot serves new flows only.
#[must_use]
pub fn next_of_recorded(current: MovingSlot, wanted: u32) -> MovingSlot {
    MovingSlot { slot: Slot { now: wanted, before: NO_BACKEND }, ..current }
}

/// Which slot of the old table a slot of a table at least as large grows from. Both sizes are powers of two.
#[must_use]
pub fn origin(slot: u32, old_mask: u32) -> u32 {
    slot & old_mask
}

fn from_quiet(current: MovingSlot, wanted: u32, moment: &Moment) -> MovingSlot {
    let now = current.slot.now;
    if wanted == now {
        return current;
    }
    let tick = moment.clock.tick;
    let moving =
        |before| MovingSlot { slot: Slot { now: wanted, before }, since: tick, seen: tick };
    if now != NO_BACKEND && !(moment.gone)(now) {
        return moving(now);
    }
    if moment.clock.since(current.seen) > moment.idle_ticks {
        return MovingSlot { slot: Slot { now: wanted, before: NO_BACKEND }, ..current };
    }
    moving(if wanted == NO_BACKEND { now } else { wanted })
}

/// Makes a slot quiet that sent nothing to another backend than `now` for longer than the idle limit.
fn settle(current: MovingSlot, moment: &Moment) -> MovingSlot {
    if current.slot.is_moving() && moment.clock.since(current.seen) > moment.idle_ticks {
        let slot = Slot { now: current.slot.now, before: NO_BACKEND };
        return MovingSlot { slot, seen: moment.clock.tick, ..current };
    }
    current
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const IDLE: u32 = 100;

    fn at(
        tick: u32,
        gone: &[u32],
        current: (u32, u32, u32, u32),
        wanted: u32,
    ) -> (u32, u32, u32, u32) {
        let clock = Clock { tick, tick_duration: Duration::from_millis(256), tick_shift: 6 };
        let gone = |id| gone.contains(&id);
        let moment = Moment { clock: &clock, idle_ticks: IDLE, gone: &gone };
        let (now, before, since, seen) = current;
        let next = next(MovingSlot { slot: Slot { now, before }, since, seen }, wanted, &moment);
        (next.slot.now, next.slot.before, next.since, next.seen)
    }

    #[test]
    fn a_quiet_slot_that_keeps_its_backend_stays_as_it_is() {
        assert_eq!(at(50, &[], (1, 0, 7, 8), 1), (1, 0, 7, 8));
        assert_eq!(at(50, &[1], (1, 0, 7, 8), 1), (1, 0, 7, 8));
    }

    #[test]
    fn a_quiet_slot_that_changes_begins_to_move() {
        assert_eq!(at(50, &[], (1, 0, 0, 0), 2), (2, 1, 50, 50));
        assert_eq!(at(50, &[], (1, 0, 0, 0), 0), (0, 1, 50, 50));
    }

    #[test]
    fn a_quiet_slot_whose_backend_is_gone_stays_quiet() {
        assert_eq!(at(150, &[1], (1, 0, 0, 0), 2), (2, 0, 0, 0));
        assert_eq!(at(150, &[1], (1, 0, 0, 0), 0), (0, 0, 0, 0));
        assert_eq!(at(150, &[], (0, 0, 0, 49), 2), (2, 0, 0, 49));
    }

    #[test]
    fn a_slot_that_became_quiet_not_long_ago_keeps_asking_the_memory() {
        assert_eq!(at(150, &[1], (1, 0, 0, 50), 2), (2, 2, 150, 150));
        assert_eq!(at(150, &[1], (1, 0, 0, 50), 0), (0, 1, 150, 150));
        assert_eq!(at(150, &[], (0, 0, 0, 50), 2), (2, 2, 150, 150));
    }

    #[test]
    fn in_a_moving_slot_only_the_new_backend_changes() {
        assert_eq!(at(50, &[], (2, 1, 40, 45), 3), (3, 1, 40, 50));
        assert_eq!(at(50, &[2], (2, 1, 40, 45), 3), (3, 1, 40, 50));
        assert_eq!(at(50, &[], (2, 1, 40, 45), 2), (2, 1, 40, 45));
        assert_eq!(at(50, &[], (2, 1, 40, 45), 0), (0, 1, 40, 50));
    }

    #[test]
    fn a_backend_that_comes_back_gets_the_new_flows_too() {
        assert_eq!(at(50, &[], (2, 1, 40, 45), 1), (1, 1, 40, 50));
    }

    #[test]
    fn a_slot_whose_old_backend_is_gone_keeps_its_remembered_flows() {
        assert_eq!(at(50, &[1], (2, 1, 40, 45), 2), (2, 2, 40, 45));
        assert_eq!(at(50, &[1], (2, 1, 40, 45), 3), (3, 3, 40, 50));
        assert_eq!(at(50, &[1, 2], (2, 1, 40, 45), 3), (3, 3, 40, 50));
    }

    #[test]
    fn a_slot_that_moves_by_memory_alone_moves_its_unknown_flows_like_a_quiet_one() {
        assert_eq!(at(50, &[], (2, 2, 40, 45), 3), (3, 2, 50, 50));
        assert_eq!(at(50, &[2], (2, 2, 40, 45), 3), (3, 3, 50, 50));
    }

    #[test]
    fn with_nobody_for_new_flows_a_gone_backend_holds_the_place() {
        assert_eq!(at(50, &[1], (2, 1, 40, 45), 0), (0, 1, 40, 50));
        assert_eq!(at(60, &[1], (0, 1, 40, 50), 0), (0, 1, 40, 50));
        assert_eq!(at(70, &[1], (0, 1, 40, 50), 4), (4, 4, 40, 70));
    }

    #[test]
    fn a_slot_becomes_quiet_after_the_idle_limit() {
        assert_eq!(at(145, &[], (2, 1, 40, 45), 2), (2, 1, 40, 45));
        assert_eq!(at(146, &[], (2, 1, 40, 45), 2), (2, 0, 40, 146));
        assert_eq!(at(146, &[], (2, 2, 40, 45), 2), (2, 0, 40, 146));
        assert_eq!(at(146, &[], (0, 1, 40, 45), 0), (0, 0, 40, 146));
        // The datapath's clock is ahead of ours.
        assert_eq!(at(44, &[], (2, 1, 40, 45), 2), (2, 1, 40, 45));
    }

    #[test]
    fn a_slot_that_settles_and_changes_at_once_begins_a_new_move() {
        assert_eq!(at(200, &[], (2, 1, 40, 45), 3), (3, 2, 200, 200));
    }

    #[test]
    fn slots_with_recorded_flows_never_move() {
        let current = MovingSlot { slot: Slot { now: 1, before: 0 }, since: 3, seen: 4 };
        let next = next_of_recorded(current, 2);
        assert_eq!((next.slot, next.since, next.seen), (Slot { now: 2, before: 0 }, 3, 4));
    }
}
