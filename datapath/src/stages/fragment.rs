//! Fragments: the first has the ports and is remembered, the later ones follow it.

use super::{
    Flow,
    encapsulate::encapsulate,
    nat,
    service::{find_vip, has_ports},
};
use crate::{
    Defer, Mode, Outcome, Packet, Tables,
    abi::{
        BackendFlags, FRAGMENT_WAYS, Features, FragmentTarget, Reason, ServiceCounter, VipFlags,
    },
    packet::wire::protocol,
};

/// Bits of the word under the tag: a [`FragmentTarget`].
const TAG_SHIFT: u32 = 25;

/// 39 bits of the datagram's hash that don't choose the bucket.
#[inline(always)]
fn tag(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high >> 25) << 32
}

/// Remembers where the datagram of a first fragment goes; the oldest of its line makes room.
#[inline(always)]
pub(crate) fn remember<const V6: bool, T: Tables>(flow: &Flow, target: FragmentTarget, tables: &T) {
    let hash = flow.datagram::<V6>();
    keep(tables, hash.low, hash.high(), target.bits());
}

#[inline(never)]
fn keep<T: Tables>(tables: &T, low: u32, high: u32, target: u64) {
    let Some(line) = tables.fragments(high & tables.settings().fragment_mask) else { return };
    let (tick, tag) = (tables.now(), tag(low, high));
    let (mut oldest, mut oldest_age) = (0, 0);
    for way in 0..FRAGMENT_WAYS {
        let (Some(word), Some(seen)) = (line.datagrams.get(way), line.seen.get(way)) else {
            return;
        };
        let free = word.get() == 0 || word.get() >> TAG_SHIFT == tag;
        let age = if free { u32::MAX } else { tick.wrapping_sub(seen.get()) };
        if age >= oldest_age {
            (oldest, oldest_age) = (way, age);
        }
    }
    if let (Some(word), Some(seen)) = (line.datagrams.get(oldest), line.seen.get(oldest)) {
        seen.set(tick);
        word.set(tag << TAG_SHIFT | target);
    }
}

#[inline(always)]
fn recall<const V6: bool, T: Tables>(flow: &Flow, tables: &T) -> Option<FragmentTarget> {
    let hash = flow.datagram::<V6>();
    let (low, high) = (hash.low, hash.high());
    let settings = tables.settings();
    let line = tables.fragments(high & settings.fragment_mask)?;
    let (tick, tag) = (tables.now(), tag(low, high));
    for way in 0..FRAGMENT_WAYS {
        let (word, seen) = (line.datagrams.get(way)?, line.seen.get(way)?);
        let word = word.get();
        if word != 0 && word >> TAG_SHIFT == tag {
            let fresh = tick.wrapping_sub(seen.get()) <= settings.fragment_ticks;
            return fresh.then_some(FragmentTarget::from_bits(word & FragmentTarget::MASK));
        }
    }
    None
}

/// A later fragment.
#[inline(always)]
pub(crate) fn later<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    tables: &T,
) -> Outcome {
    let Some(vip) = find_vip::<V6, T>(&flow.destination, tables) else {
        return Outcome::end(Reason::PassFragment);
    };
    // What is remembered of translations is of no use once nothing is translated any more.
    let translates = tables.settings().features.has(Features::NAT);
    let is_known =
        |target: &FragmentTarget| translates || !matches!(target, FragmentTarget::Nat(_));
    match recall::<V6, T>(flow, tables).filter(is_known) {
        Some(FragmentTarget::Backend(_)) if MODE == Mode::NAT => Outcome::end(Reason::DropInternal),
        Some(FragmentTarget::Nat(_)) if MODE == Mode::TUNNEL => Outcome::defer(Defer::Nat),
        Some(FragmentTarget::Backend(id)) => {
            let Some(backend) = tables.backend(id) else {
                return Outcome::end(Reason::DropInternal);
            };
            if backend.flags.has(BackendFlags::DEAD) {
                return Outcome::refuse(tables, backend.service, ServiceCounter::FragmentUnknown);
            }
            encapsulate::<V6, P, T>(packet, flow, id, Reason::SentEncapsulated, tables)
        }
        Some(FragmentTarget::Nat(index)) => {
            nat::fragment::<V6, P, T>(packet, flow, index, vip.flags.has(VipFlags::POOL), tables)
        }
        // A fragment to an address that is only a pool's may be the host's own, and so is what no service takes
        // (the first fragment of a large ping went there too).
        None if !vip.flags.has(VipFlags::SERVICES) || is_for_host::<V6>(flow) => {
            Outcome::end(Reason::PassFragment)
        }
        None => Outcome::end(Reason::DropFragmentUnknown),
    }
}

/// Whether a fragment is of a protocol that no service has. The fragment header of IPv6 may name an extension
/// header that stands in front of the protocol.
#[inline(always)]
fn is_for_host<const V6: bool>(flow: &Flow) -> bool {
    if V6 { flow.protocol == protocol::ICMPV6 } else { !has_ports(flow.protocol) }
}
