//! Which backend a flow belongs to: by its slot alone while the slot is quiet, by the remembered flows while
//! it moves.

use super::{Flow, account::count_service};
use crate::{
    Tables,
    abi::{
        BackendFlags, Features, Move, NO_BACKEND, REMEMBERED_WAYS, RememberedLine, Service,
        ServiceCounter, ServiceFlags, Slot, SlotRange,
    },
    hash::{self, FlowHash},
    packet::wire::protocol,
};

/// The slot of a flow: its index and content.
#[inline(always)]
pub(crate) fn slot<const V6: bool, T: Tables>(
    flow: &Flow,
    hash: FlowHash,
    service: &Service,
    tables: &T,
) -> Option<(u32, Slot)> {
    let affine = tables.settings().features.has(Features::AFFINITY)
        && service.flags.has(ServiceFlags::AFFINITY);
    let chooser = chooser::<V6>(flow, hash, affine);
    let range = SlotRange::from_word(service.slots.get());
    let index = range.base.wrapping_add(chooser & range.mask);
    Some((index, Slot::from_word(tables.slot(index)?.get())))
}

/// What chooses the slot of a flow: of its bits as many as the service has slots for.
#[inline(always)]
pub(crate) fn chooser<const V6: bool>(flow: &Flow, hash: FlowHash, affine: bool) -> u32 {
    if affine { hash::source(hash::fold(&flow.source, V6)) } else { hash.low }
}

/// The backend of a flow, or what to count where there is none.
#[inline(always)]
pub(crate) fn select<const V6: bool, T: Tables>(
    flow: &Flow,
    service_index: u32,
    service: &Service,
    tables: &T,
) -> Result<u32, ServiceCounter> {
    let hash = flow.hash::<V6>();
    let (index, slot) =
        slot::<V6, T>(flow, hash, service, tables).ok_or(ServiceCounter::NoBackend)?;
    let id = if slot.is_moving() {
        let question = Question {
            slot,
            index,
            low: hash.low,
            high: hash.high(),
            service: service_index,
            idle_ticks: service.idle_ticks,
            grace_ticks: service.grace_ticks,
            opening: if flow.protocol != protocol::TCP {
                Opening::Unknown
            } else if flow.is_syn() {
                Opening::Yes
            } else {
                Opening::No
            },
        };
        moving(tables, &question)
    } else {
        slot.now
    };
    if id == NO_BACKEND { Err(ServiceCounter::NoBackend) } else { Ok(id) }
}

/// Whether a packet begins its flow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// A TCP SYN.
    Yes,
    /// Other TCP.
    No,
    /// A protocol that doesn't tell.
    Unknown,
}

/// A packet in a moving slot.
struct Question {
    slot: Slot,
    index: u32,
    low: u32,
    high: u32,
    service: u32,
    idle_ticks: u32,
    grace_ticks: u32,
    opening: Opening,
}

impl Question {
    /// 40 bits that don't choose the bucket.
    #[inline(always)]
    fn tag(&self) -> u64 {
        u64::from(self.low) | u64::from(self.high >> 24) << 32
    }

    #[inline(always)]
    fn word(&self, id: u32) -> u64 {
        self.tag() << TAG_SHIFT | u64::from(id)
    }
}

const TAG_SHIFT: u32 = 24;
const ID_MASK: u64 = (1 << TAG_SHIFT) - 1;

/// The backend of a packet in a moving slot.
///
/// Not inlined: it is the same for both families, and the quiet path stays small.
#[inline(never)]
fn moving<T: Tables>(tables: &T, question: &Question) -> u32 {
    let slot = question.slot;
    let Some(clock) = tables.slot_move(question.index) else { return slot.now };
    let Some(line) = tables.remembered(question.high & tables.settings().remembered_mask) else {
        return slot.now;
    };
    let tick = tables.now();
    let id = match find(line, question, tick) {
        Some(way) => recall(tables, line, way, question, tick),
        None => unknown(tables, line, clock, question, tick),
    };
    if id != slot.now {
        clock.seen.refresh(tick);
        count_service(tables, question.service, ServiceCounter::SentBefore);
    }
    id
}

/// The way that remembers the flow and has not expired.
#[inline(always)]
fn find(line: &RememberedLine, question: &Question, tick: u32) -> Option<usize> {
    for way in 0..REMEMBERED_WAYS {
        let (flow, seen) = (line.flows.get(way)?, line.seen.get(way)?);
        let word = flow.get();
        if word >> TAG_SHIFT == question.tag() && word & ID_MASK != 0 {
            let idle = tick.wrapping_sub(seen.get());
            return (idle <= question.idle_ticks).then_some(way);
        }
    }
    None
}

/// The remembered backend; if it died meanwhile, the flow is lost and begins anew at `now`.
#[inline(always)]
fn recall<T: Tables>(
    tables: &T,
    line: &RememberedLine,
    way: usize,
    question: &Question,
    tick: u32,
) -> u32 {
    let (Some(flow), Some(seen)) = (line.flows.get(way), line.seen.get(way)) else {
        return question.slot.now;
    };
    seen.refresh(tick);
    let word = flow.get();
    let id = (word & ID_MASK) as u32;
    if is_alive(tables, id) {
        return id;
    }
    let now = question.slot.now;
    if now != NO_BACKEND {
        // Another CPU that was faster wrote the same.
        flow.replace(word, question.word(now));
    }
    now
}

/// A flow that isn't remembered: older than the change, or new.
#[inline(always)]
fn unknown<T: Tables>(
    tables: &T,
    line: &RememberedLine,
    clock: &Move,
    question: &Question,
    tick: u32,
) -> u32 {
    let Slot { now, before } = question.slot;
    let in_grace = tick.wrapping_sub(clock.since.get()) <= question.grace_ticks;
    let (id, remembered) = match question.opening {
        Opening::No => (before, false),
        Opening::Yes => (now, true),
        // Whoever was there before the change speaks within the grace.
        Opening::Unknown if in_grace => (before, true),
        Opening::Unknown => (now, true),
    };
    if !remembered || id == NO_BACKEND {
        return id;
    }
    if remember(line, question, id, tick) {
        count_service(tables, question.service, ServiceCounter::Remembered);
        return id;
    }
    // What can't be remembered goes where later packets of the flow will go without memory.
    if before != now && is_alive(tables, before) {
        count_service(tables, question.service, ServiceCounter::RememberedFullOld);
        return before;
    }
    count_service(tables, question.service, ServiceCounter::RememberedFullNew);
    now
}

/// Takes a free or expired way of the line for the flow.
#[inline(always)]
fn remember(line: &RememberedLine, question: &Question, id: u32, tick: u32) -> bool {
    for way in 0..REMEMBERED_WAYS {
        let (Some(flow), Some(seen)) = (line.flows.get(way), line.seen.get(way)) else {
            return false;
        };
        let word = flow.get();
        let free = word == 0 || tick.wrapping_sub(seen.get()) > question.idle_ticks;
        if free && flow.replace(word, question.word(id)) {
            seen.set(tick);
            return true;
        }
    }
    false
}

#[inline(always)]
fn is_alive<T: Tables>(tables: &T, id: u32) -> bool {
    tables.backend(id).is_some_and(|backend| {
        backend.flags.has(BackendFlags::USED) && !backend.flags.has(BackendFlags::DEAD)
    })
}
