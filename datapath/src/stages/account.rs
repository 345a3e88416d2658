//! Counters, and the budgets for what the datapath says on its own.

use crate::{
    Outcome, Tables,
    abi::{Class, Features, Limit, ServiceCounter},
    opaque::opaque,
};

/// Counts what became of a packet of `bytes` bytes. True if user space shall hear of it: the budget for drop
/// events has room, and the outcome is noted for the event program.
#[inline(always)]
pub(crate) fn account<T: Tables>(outcome: &Outcome, bytes: usize, tables: &T) -> bool {
    tables.with_count(outcome.reason as u32, |count| {
        count.packets += 1;
        count.bytes += bytes as u64;
    });
    let settings = tables.settings();
    if outcome.reason.class() != Class::Drop || !settings.features.has(Features::EVENTS) {
        return false;
    }
    if !spend(tables, Limit::EVENTS, settings.drop_events_per_tick) {
        return false;
    }
    tables.with_limit(Limit::DROPPED, |noted| {
        noted.tick = outcome.reason as u32;
        noted.used = outcome.service;
    });
    true
}

/// Counts something that happened to a packet of a service.
#[inline(always)]
pub(crate) fn count_service<T: Tables>(tables: &T, service: u32, counter: ServiceCounter) {
    let index = opaque(counter as u32) as usize;
    tables.with_service_counts(service, |counts| {
        if let Some(count) = counts.get_mut(index) {
            *count += 1;
        }
    });
}

/// Takes one from a budget; false if this tick's is used up.
#[inline(always)]
pub(super) fn spend<T: Tables>(tables: &T, budget: u32, per_tick: u32) -> bool {
    let tick = tables.now();
    let mut granted = false;
    tables.with_limit(budget, |limit| {
        if limit.tick != tick {
            limit.tick = tick;
            limit.used = 0;
        }
        if limit.used < per_tick {
            limit.used += 1;
            granted = true;
        }
    });
    granted
}
