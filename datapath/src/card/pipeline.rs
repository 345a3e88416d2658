use super::{CardOutcome, CardTables, CardVerdict, prefilter, service};
use crate::{
    Packet,
    abi::{CardFlags, CardSettings},
    packet::wire::Ipv4,
    pipeline::{is_fast, parse_network},
    stages::{
        Flow,
        parse::{self, Frame, Network},
    },
};

/// Takes one packet through the card's stages. Which of them are on, the tables say.
#[inline(always)]
pub fn run<P: Packet, T: CardTables>(packet: &mut P, tables: &T) -> CardVerdict {
    match parse::untagged(packet) {
        Some(Network::Ipv4) => network::<false, P, T>(packet, tables),
        Some(Network::Ipv6) => network::<true, P, T>(packet, tables),
        None => end(tables, CardOutcome::Unfit, packet.len()),
    }
}

#[inline(always)]
fn network<const V6: bool, P: Packet, T: CardTables>(packet: &mut P, tables: &T) -> CardVerdict {
    let bytes = packet.len();
    let mut flow = Flow::default();
    if !is_plain::<V6, P>(packet)
        || parse_network::<V6, false, P>(packet, Frame::UNTAGGED, &mut flow).is_err()
        || !is_fast::<V6>(&flow)
    {
        return end(tables, CardOutcome::Unfit, bytes);
    }
    let family = if V6 { CardSettings::IPV6 } else { CardSettings::IPV4 };
    let Some(settings) = tables.settings(family) else {
        return end(tables, CardOutcome::Unfit, bytes);
    };
    // Read once: what is switched meanwhile concerns the next packet.
    let flags = settings.flags;
    if !flags.has(CardFlags::PREFILTER | CardFlags::SERVICE) {
        return end(tables, CardOutcome::Unfit, bytes);
    }
    if flags.has(CardFlags::PREFILTER)
        && prefilter::longest::<V6, T>(&flow.source, settings, bytes, tables)
            .is_some_and(|word| word.denies())
    {
        return end(tables, CardOutcome::Denied, bytes);
    }
    if flags.has(CardFlags::SERVICE) {
        return service::run::<V6, P, T>(packet, &flow, settings, tables);
    }
    end(tables, CardOutcome::Missed, bytes)
}

/// Whether the network header has no options: everything stands at constant offsets then, which a card reads from a
/// copy of the packet's head instead of from its memory.
#[inline(always)]
fn is_plain<const V6: bool, P: Packet>(packet: &P) -> bool {
    V6 || packet.at::<Ipv4>(Frame::UNTAGGED.l3).is_some_and(|ip| ip.version_ihl == 0x45)
}

/// Counts the outcome and says it as a verdict. Called where the outcome is known, so that the counter's place in its
/// entry is a constant: a card takes no other.
#[inline(always)]
pub(super) fn end<T: CardTables>(tables: &T, outcome: CardOutcome, bytes: usize) -> CardVerdict {
    tables.count(outcome, bytes);
    match outcome {
        CardOutcome::Sent => CardVerdict::Transmit,
        CardOutcome::Denied => CardVerdict::Drop,
        CardOutcome::Unfit | CardOutcome::Missed | CardOutcome::Deferred => CardVerdict::Pass,
    }
}
