//! Sampled events for user space.

use super::Flow;
use crate::{
    Outcome, Tables,
    abi::{Event, EventKind, Features, Limit, Reason},
    packet::wire::{destination_port, source_port},
};

/// Whether the packet begins a flow that user space shall hear of: one in
/// [`crate::abi::Settings::flow_sample_shift`]. UDP doesn't say where a flow begins; its flows are not sampled.
#[inline(always)]
pub(crate) fn is_sampled<const V6: bool, T: Tables>(flow: &Flow, tables: &T) -> bool {
    let settings = tables.settings();
    settings.features.has(Features::EVENTS)
        && settings.flow_sample_shift < 32
        && samples::<V6>(flow, (1u32 << settings.flow_sample_shift) - 1)
}

/// Whether the packet begins a flow whose hash has none of the bits of `mask`.
#[inline(always)]
pub(crate) fn samples<const V6: bool>(flow: &Flow, mask: u32) -> bool {
    flow.is_syn() && flow.hash::<V6>().high() & mask == 0
}

/// Tells user space of a flow that begins.
#[inline(never)]
pub(crate) fn began<T: Tables>(
    tables: &T,
    outcome: &Outcome,
    flow: &Flow,
    (family, length): (u8, u32),
) {
    let mut event = event(tables, flow, family, length);
    event.kind = EventKind::Flow as u32;
    event.reason = outcome.reason as u32;
    event.service = outcome.service;
    event.backend = outcome.backend;
    tables.emit(&event);
}

/// Tells user space of the drop that [`super::account`] has noted. `flow`: what could be parsed.
#[inline(always)]
pub(crate) fn dropped<T: Tables>(tables: &T, flow: &Flow, family: u8, length: u32) {
    let mut event = event(tables, flow, family, length);
    event.kind = EventKind::Drop as u32;
    tables.with_limit(Limit::DROPPED, |noted| {
        event.reason = noted.tick;
        event.service = noted.used;
    });
    tables.emit(&event);
}

#[inline(always)]
fn event<T: Tables>(tables: &T, flow: &Flow, family: u8, length: u32) -> Event {
    let [a, b, c, d] = flow.source;
    let [e, f, g, h] = flow.destination;
    Event {
        kind: 0,
        reason: Reason::DropInternal as u32,
        service: Event::NONE,
        backend: 0,
        source: [a, b, c, d],
        destination: [e, f, g, h],
        source_port: source_port(flow.ports),
        destination_port: destination_port(flow.ports),
        protocol: flow.protocol,
        family,
        tcp_flags: flow.tcp_flags,
        reserved: 0,
        ifindex: tables.settings().ifindex,
        length,
    }
}
