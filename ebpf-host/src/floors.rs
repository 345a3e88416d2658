//! What a packet costs at least: the programs that the gateway is compared with in every run.

use crate::context::Context;
use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::Array,
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use sluice_datapath::{
    Packet,
    abi::Address,
    hash::{self, FlowHash},
    packet::{
        Delta, RawPacket,
        wire::{ETH_IPV4, ETH_IPV6, Ethernet, Ipv4, Ipv6, Tcp, Udp, copy_mac, protocol},
    },
};

const L2: usize = size_of::<Ethernet>();

/// Returns at once: what the wrapper itself costs.
#[xdp]
#[inline(always)]
fn bench_empty(_: XdpContext) -> u32 {
    xdp_action::XDP_TX
}

/// Parses Ethernet, IP and TCP or UDP, and sends the packet back.
#[xdp]
#[inline(always)]
fn bench_parse(context: XdpContext) -> u32 {
    let head = Context(&context);
    let packet = RawPacket::new(&head);
    if parse(&packet).is_some() { xdp_action::XDP_TX } else { xdp_action::XDP_PASS }
}

struct Parsed {
    v6: bool,
    hash: FlowHash,
    length: u16,
}

#[inline(always)]
fn parse<P: Packet>(packet: &P) -> Option<Parsed> {
    let ethernet: &Ethernet = packet.at(0)?;
    match ethernet.protocol {
        ETH_IPV4 => {
            let ip: &Ipv4 = packet.at(L2)?;
            let length = u16::from_be(ip.length);
            if ip.version_ihl != 0x45 || L2 + usize::from(length) > packet.len() {
                return None;
            }
            let ports = ports(packet, L2 + size_of::<Ipv4>(), ip.protocol)?;
            let hash = hash::flow(ip.source.get(), ip.destination.get(), ports, ip.protocol);
            Some(Parsed { v6: false, hash, length })
        }
        ETH_IPV6 => {
            let ip: &Ipv6 = packet.at(L2)?;
            let length = u16::from_be(ip.length).checked_add(size_of::<Ipv6>() as u16)?;
            if u16::from_be(ip.version_class) >> 12 != 6 || L2 + usize::from(length) > packet.len()
            {
                return None;
            }
            let ports = ports(packet, L2 + size_of::<Ipv6>(), ip.next)?;
            let (source, destination) = (ip.source.get(), ip.destination.get());
            let folded = (hash::fold(&source, true), hash::fold(&destination, true));
            let hash = hash::flow(folded.0, folded.1, ports, ip.next);
            Some(Parsed { v6: true, hash, length })
        }
        _ => None,
    }
}

#[inline(always)]
fn ports<P: Packet>(packet: &P, l4: usize, number: u8) -> Option<u32> {
    match number {
        protocol::TCP => Some(packet.at::<Tcp>(l4)?.ports.get()),
        protocol::UDP => Some(packet.at::<Udp>(l4)?.ports.get()),
        _ => None,
    }
}

/// Slots of the smallest balancer.
const SLOTS: usize = 1 << 13;
/// Its backends.
const BACKENDS: usize = 128;

/// A way onward: addresses and hardware addresses.
#[repr(C)]
pub struct FloorBackend {
    address: Address,
    source: Address,
    next_hop: [u16; 3],
    source_mac: [u16; 3],
    reserved: u32,
}

#[btf_map]
static FLOOR_SLOTS: Array<u64, SLOTS> = Array::new();
#[btf_map]
static FLOOR_BACKENDS: Array<FloorBackend, BACKENDS> = Array::new();

/// The least that a balancer can do: hash, slot, backend, outer header. It asks nobody whether the packet is for a
/// service, keeps no memory of flows, and counts nothing.
#[xdp]
#[inline(always)]
fn bench_maglev(context: XdpContext) -> u32 {
    let head = Context(&context);
    let mut packet = RawPacket::new(&head);
    balance(&mut packet).unwrap_or(xdp_action::XDP_PASS)
}

#[inline(always)]
fn balance<P: Packet>(packet: &mut P) -> Option<u32> {
    let parsed = parse(packet)?;
    let slot = FLOOR_SLOTS.get(parsed.hash.low & (SLOTS as u32 - 1))?;
    let backend = FLOOR_BACKENDS.get(*slot as u32)?;
    if parsed.v6 {
        outer6(packet, &parsed, backend)?
    } else {
        outer4(packet, &parsed, backend)?
    }
    Some(xdp_action::XDP_TX)
}

#[inline(always)]
fn link<P: Packet>(packet: &mut P, backend: &FloorBackend, ethertype: u16) -> Option<()> {
    let ethernet: &mut Ethernet = packet.at_mut(0)?;
    copy_mac(&backend.next_hop, &mut ethernet.destination);
    copy_mac(&backend.source_mac, &mut ethernet.source);
    ethernet.protocol = ethertype;
    Some(())
}

#[inline(always)]
fn outer4<P: Packet>(packet: &mut P, parsed: &Parsed, backend: &FloorBackend) -> Option<()> {
    if !packet.adjust_head(-(size_of::<Ipv4>() as i32)) {
        return None;
    }
    link(packet, backend, ETH_IPV4)?;
    let length = parsed.length.wrapping_add(size_of::<Ipv4>() as u16).to_be();
    let ip: &mut Ipv4 = packet.at_mut(L2)?;
    ip.version_ihl = 0x45;
    ip.tos = 0;
    ip.length = length;
    ip.id = 0;
    ip.fragment = 0;
    ip.ttl = 64;
    ip.protocol = protocol::IPIP;
    ip.checksum = Delta::new()
        .sum_half(u16::from_ne_bytes([0x45, 0]))
        .sum_half(length)
        .sum_half(u16::from_ne_bytes([64, protocol::IPIP]))
        .sum(backend.source[0])
        .sum(backend.address[0])
        .checksum();
    ip.source.set(backend.source[0]);
    ip.destination.set(backend.address[0]);
    Some(())
}

#[inline(always)]
fn outer6<P: Packet>(packet: &mut P, parsed: &Parsed, backend: &FloorBackend) -> Option<()> {
    if !packet.adjust_head(-(size_of::<Ipv6>() as i32)) {
        return None;
    }
    link(packet, backend, ETH_IPV6)?;
    let ip: &mut Ipv6 = packet.at_mut(L2)?;
    ip.version_class = 0x6000u16.to_be();
    ip.flow = 0;
    ip.length = parsed.length.to_be();
    ip.next = protocol::IPV6;
    ip.hop_limit = 64;
    ip.source.set(&backend.source);
    ip.destination.set(&backend.address);
    Some(())
}
