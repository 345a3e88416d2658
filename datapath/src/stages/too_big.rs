//! A packet too big for the way to its backend: the sender learns the size that fits (RFC 792 and 1191, RFC
//! 4443 and 8201), at a limited rate.

use super::{
    Flow, Fragmented,
    account::{count_service, spend},
    service::has_ports,
};
use crate::{
    Defer, Outcome, Packet, Tables,
    abi::{Event, Limit, Mac, Reason, ServiceCounter},
    packet::{
        Delta,
        wire::{
            ETH_IPV4, ETH_IPV6, Ethernet, IPV4_DONT_FRAGMENT, Icmp, Ipv4, Ipv6, Vlan, Word, copy,
            protocol,
        },
    },
};

/// Words of the packet that an ICMP error quotes: header with options and the ports.
const QUOTE4: usize = 17;
/// As much of the packet as fits into the smallest IPv6 MTU (RFC 4443): 1280 less two headers.
const QUOTE6: usize = (1280 - 48) / 4;

/// Notes what the sender must learn and leaves the packet to the program that says it.
#[inline(always)]
pub(super) fn defer<T: Tables>(service: u32, mtu: u16, tables: &T) -> Outcome {
    tables.with_limit(Limit::TOO_BIG, |noted| {
        noted.tick = u32::from(mtu);
        noted.used = service;
    });
    Outcome::defer(Defer::TooBig)
}

/// Answers the packet, or drops it with the reason why not.
#[inline(always)]
pub(crate) fn answer<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    tables: &T,
) -> Outcome {
    let (mut mtu, mut service) = (0, Event::NONE);
    tables.with_limit(Limit::TOO_BIG, |noted| (mtu, service) = (noted.tick as u16, noted.used));
    count_service(tables, service, ServiceCounter::TooBig);
    let words = if V6 { QUOTE6 } else { QUOTE4 };
    let settings = tables.settings();
    // RFC 1122: no error is sent about an ICMP error, nor about a later fragment.
    if !flow.dont_fragment
        || !has_ports(flow.protocol)
        || flow.fragmented == Fragmented::Later
        || usize::from(flow.length) < words * 4
        || !spend(tables, Limit::ICMP, settings.icmp_per_tick)
    {
        return Outcome::drop(Reason::DropTooBig, service);
    }
    let built = if V6 { build6(packet, flow, mtu) } else { build4(packet, flow, mtu) };
    match built {
        Some(()) => Outcome::send(Reason::SentTooBig, settings.ifindex, service, 0),
        None => Outcome::drop(Reason::DropHeadroom, service),
    }
}

/// Cuts the packet behind the quote and puts `grow` bytes between link-layer header and packet, with the
/// link-layer header turned round.
#[inline(always)]
fn turn<P: Packet>(
    packet: &mut P,
    flow: &Flow,
    quote: usize,
    grow: usize,
    ethertype: u16,
) -> Option<()> {
    let surplus = packet.len() as i32 - (flow.l3 + quote) as i32;
    if surplus > 0 && !packet.adjust_tail(-surplus) {
        return None;
    }
    if !packet.adjust_head(-(grow as i32)) {
        return None;
    }
    let old: &Ethernet = packet.at(grow)?;
    let (source, destination, first) = (read(&old.source), read(&old.destination), old.protocol);
    let new: &mut Ethernet = packet.at_mut(0)?;
    copy(&source, &mut new.destination);
    copy(&destination, &mut new.source);
    new.protocol = first;
    // What announces the packet is the EtherType of the last header in front of it.
    const L2: usize = size_of::<Ethernet>();
    const TAG: usize = size_of::<Vlan>();
    if flow.l3 == L2 {
        new.protocol = ethertype;
        return Some(());
    }
    let tag = *packet.at::<Vlan>(grow + L2)?;
    *packet.at_mut(L2)? = tag;
    if flow.l3 > L2 + TAG {
        let tag = *packet.at::<Vlan>(grow + L2 + TAG)?;
        *packet.at_mut(L2 + TAG)? = tag;
    }
    Some(())
}

#[inline(always)]
fn read(mac: &Mac) -> Mac {
    [mac[0], mac[1], mac[2]]
}

#[inline(always)]
fn build4<P: Packet>(packet: &mut P, flow: &Flow, mtu: u16) -> Option<()> {
    const GROW: usize = size_of::<Ipv4>() + size_of::<Icmp>();
    turn(packet, flow, QUOTE4 * 4, GROW, ETH_IPV4)?;
    let length = ((GROW + QUOTE4 * 4) as u16).to_be();
    let ip: &mut Ipv4 = packet.at_mut(flow.l3)?;
    ip.version_ihl = 0x45;
    ip.tos = 0;
    ip.length = length;
    ip.id = 0;
    ip.fragment = IPV4_DONT_FRAGMENT;
    ip.ttl = 64;
    ip.protocol = protocol::ICMP;
    ip.source.set(flow.destination[0]);
    ip.destination.set(flow.source[0]);
    ip.checksum = Delta::new()
        .sum_half(u16::from_ne_bytes([0x45, 0]))
        .sum_half(length)
        .sum_half(IPV4_DONT_FRAGMENT)
        .sum_half(u16::from_ne_bytes([64, protocol::ICMP]))
        .sum(flow.destination[0])
        .sum(flow.source[0])
        .checksum();
    icmp::<QUOTE4, P>(packet, flow.l3 + size_of::<Ipv4>(), (3, 4), mtu, Delta::new())
}

#[inline(always)]
fn build6<P: Packet>(packet: &mut P, flow: &Flow, mtu: u16) -> Option<()> {
    const GROW: usize = size_of::<Ipv6>() + size_of::<Icmp>();
    const LENGTH: u16 = (size_of::<Icmp>() + QUOTE6 * 4) as u16;
    turn(packet, flow, QUOTE6 * 4, GROW, ETH_IPV6)?;
    let ip: &mut Ipv6 = packet.at_mut(flow.l3)?;
    ip.version_class = 0x6000u16.to_be();
    ip.flow = 0;
    ip.length = LENGTH.to_be();
    ip.next = protocol::ICMPV6;
    ip.hop_limit = 64;
    ip.source.set(&flow.destination);
    ip.destination.set(&flow.source);
    let [a, b, c, d] = flow.source;
    let [e, f, g, h] = flow.destination;
    let pseudo = Delta::new()
        .sum(a)
        .sum(b)
        .sum(c)
        .sum(d)
        .sum(e)
        .sum(f)
        .sum(g)
        .sum(h)
        .sum(u32::from(LENGTH).to_be())
        .sum(u32::from(protocol::ICMPV6).to_be());
    icmp::<QUOTE6, P>(packet, flow.l3 + size_of::<Ipv6>(), (2, 0), mtu, pseudo)
}

/// The ICMP header in front of a quote of `WORDS` words. `sum`: the pseudo header of ICMPv6.
#[inline(always)]
fn icmp<const WORDS: usize, P: Packet>(
    packet: &mut P,
    at: usize,
    (kind, code): (u8, u8),
    mtu: u16,
    mut sum: Delta,
) -> Option<()> {
    let rest = u32::from(mtu).to_be();
    for word in 0..WORDS {
        sum = sum.sum(packet.at::<Word>(at + size_of::<Icmp>() + word * 4)?.get());
    }
    sum = sum.sum_half(u16::from_ne_bytes([kind, code])).sum(rest);
    let icmp: &mut Icmp = packet.at_mut(at)?;
    icmp.kind = kind;
    icmp.code = code;
    icmp.checksum = sum.checksum();
    icmp.rest = rest;
    Some(())
}
