//! The rules against a model of flows: what the datapath does in `stages/select.rs`, with a memory without bounds.

use super::*;
use proptest::prelude::*;
use std::{collections::HashMap, time::Duration};

const BACKENDS: u32 = 5;
const IDLE: u32 = 40;
const GRACE: u32 = 12;

#[derive(Clone, Debug)]
enum Step {
    /// Time passes.
    Wait(u32),
    /// A flow sends a packet.
    Send(usize),
    /// The planner runs: who takes the new flows of a table (by position in the list of those that may), who is
    /// gone, and who may not take new flows although not gone (drained, or no weight).
    Plan { choice: u64, gone: Vec<bool>, draining: Vec<bool> },
    /// The planner runs with what it knew last.
    Settle,
    /// The table doubles.
    Grow,
}

struct Flow {
    udp: bool,
    hash: u32,
    /// Its backend and the tick of its last packet, once it has begun.
    at: Option<(u32, u32)>,
}

struct World {
    tick: u32,
    slots: Vec<MovingSlot>,
    wanted: Vec<u32>,
    gone: Vec<bool>,
    memory: HashMap<usize, (u32, u32)>,
    flows: Vec<Flow>,
}

impl World {
    fn new() -> Self {
        let slots = 2_u32;
        let wanted: Vec<u32> = (0..slots).map(|slot| 1 + slot % BACKENDS).collect();
        let quiet = |&now: &u32| MovingSlot { slot: Slot { now, before: 0 }, since: 0, seen: 0 };
        Self {
            tick: u32::MAX - 50,
            slots: wanted.iter().map(quiet).collect(),
            wanted,
            gone: vec![false; BACKENDS as usize + 1],
            memory: HashMap::new(),
            flows: (0..24).map(|i| Flow { udp: i % 3 == 0, hash: i / 2, at: None }).collect(),
        }
    }

    fn plan(&mut self) {
        let clock = Clock { tick: self.tick, tick_duration: Duration::from_secs(1), tick_shift: 0 };
        let gone = |id: u32| self.gone[id as usize];
        let moment = Moment { clock: &clock, idle_ticks: IDLE, gone: &gone };
        for (slot, &wanted) in self.slots.iter_mut().zip(&self.wanted) {
            *slot = next(*slot, wanted, &moment);
        }
    }

    fn change(&mut self, choice: u64, gone: Vec<bool>, draining: &[bool]) {
        for (flow, lost) in self.flows.iter_mut().map(|flow| (&mut flow.at, &gone)) {
            if flow.is_some_and(|(id, _)| lost[id as usize]) {
                *flow = None;
            }
        }
        self.gone = gone;
        let able: Vec<u32> = (1..=BACKENDS)
            .filter(|&id| !self.gone[id as usize] && !draining[id as usize])
            .collect();
        for (i, wanted) in self.wanted.iter_mut().enumerate() {
            let pick = (choice >> (i * 7 % 57)) as usize;
            *wanted = if able.is_empty() { NO_BACKEND } else { able[pick % able.len()] };
        }
        self.plan();
    }

    fn grow(&mut self) {
        let old_mask = self.slots.len() as u32 - 1;
        let new = 0..self.slots.len() as u32 * 2;
        self.slots = new.clone().map(|slot| self.slots[origin(slot, old_mask) as usize]).collect();
        self.wanted = new.map(|slot| self.wanted[origin(slot, old_mask) as usize]).collect();
    }

    /// `stages/select.rs`.
    fn select(&mut self, index: usize, syn: bool) -> u32 {
        let flow = &self.flows[index];
        let (tick, udp) = (self.tick, flow.udp);
        let mask = self.slots.len() - 1;
        let current = &mut self.slots[flow.hash as usize & mask];
        let Slot { now, before } = current.slot;
        if !current.slot.is_moving() {
            return now;
        }
        let remembered =
            self.memory.get_mut(&index).filter(|(_, seen)| tick.wrapping_sub(*seen) <= IDLE);
        let id = if let Some((id, seen)) = remembered {
            *seen = tick;
            if self.gone[*id as usize] && now != NO_BACKEND {
                *id = now;
            }
            if self.gone[*id as usize] { now } else { *id }
        } else if !udp && !syn {
            before
        } else {
            let in_grace = udp && tick.wrapping_sub(current.since) <= GRACE;
            let id = if in_grace { before } else { now };
            if id != NO_BACKEND {
                self.memory.insert(index, (id, tick));
            }
            id
        };
        if id != now {
            current.seen = tick;
        }
        id
    }

    fn send(&mut self, index: usize) -> Result<(), TestCaseError> {
        let flow = &self.flows[index];
        let limit = if flow.udp { GRACE } else { IDLE };
        let goes_on = flow.at.filter(|(_, seen)| self.tick.wrapping_sub(*seen) <= limit);
        let id = self.select(index, goes_on.is_none());
        if let Some((owner, _)) = goes_on {
            prop_assert_eq!(id, owner, "flow {} was moved; slots {:?}", index, &self.slots);
        }
        let sent = id != NO_BACKEND && !self.gone[id as usize];
        self.flows[index].at = sent.then_some((id, self.tick));
        Ok(())
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Wait(ticks) => self.tick = self.tick.wrapping_add(ticks),
            Step::Send(index) => return self.send(index),
            Step::Plan { choice, gone, draining } => self.change(choice, gone, &draining),
            Step::Settle => self.plan(),
            Step::Grow if self.slots.len() < 16 => self.grow(),
            Step::Grow => {}
        }
        Ok(())
    }
}

fn step() -> impl Strategy<Value = Step> {
    let some = |likely| prop::collection::vec(prop::bool::weighted(likely), BACKENDS as usize + 1);
    prop_oneof![
        6 => (1_u32..10).prop_map(Step::Wait),
        1 => (30_u32..60).prop_map(Step::Wait),
        24 => (0_usize..24).prop_map(Step::Send),
        3 => (any::<u64>(), some(0.15), some(0.3))
            .prop_map(|(choice, gone, draining)| Step::Plan { choice, gone, draining }),
        2 => Just(Step::Settle),
        1 => Just(Step::Grow),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_flow_of_a_living_backend_is_ever_moved(steps in prop::collection::vec(step(), 1..300)) {
        let mut world = World::new();
        for step in steps {
            world.run(step)?;
        }
    }

    #[test]
    fn a_system_without_changes_becomes_quiet(steps in prop::collection::vec(step(), 1..100)) {
        let mut world = World::new();
        for step in steps {
            world.run(step)?;
        }
        // Every flow falls silent; the planner looks now and then.
        for _ in 0..3 {
            world.tick = world.tick.wrapping_add(IDLE + 1);
            world.plan();
        }
        prop_assert!(world.slots.iter().all(|slot| !slot.slot.is_moving()));
        for (slot, wanted) in world.slots.iter().zip(&world.wanted) {
            prop_assert_eq!(slot.slot.now, *wanted);
        }
    }
}
