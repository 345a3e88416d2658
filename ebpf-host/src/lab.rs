//! Programs for the laboratory's backends, whose kernel may have no tunnel devices.
#![no_std]
#![no_main]

mod context;

use aya_ebpf::{bindings::xdp_action, macros::xdp, programs::XdpContext};
use context::Context;
use sluice_datapath::packet::{
    Packet, RawPacket,
    wire::{ETH_IPV4, ETH_IPV6, Ethernet, Ipv4, Ipv6, copy, protocol},
};

/// Takes the outer header off a tunnelled packet and hands everything to the stack.
#[xdp]
fn decap(context: XdpContext) -> u32 {
    let head = Context(&context);
    // What can't be decapsulated is the stack's.
    let _ = strip(&mut RawPacket::new(&head));
    xdp_action::XDP_PASS
}

/// Leaves everything as it is: a frame that a program sends back by its link (`XDP_TX`) is received at the other end of a
/// veth pair only if there is a program.
#[xdp]
fn pass(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

const L2: usize = size_of::<Ethernet>();

#[inline(always)]
fn strip<P: Packet>(packet: &mut P) -> Option<()> {
    let ethernet: &Ethernet = packet.at(0)?;
    let (outer, inner) = match ethernet.protocol {
        ETH_IPV4 => {
            let ip: &Ipv4 = packet.at(L2)?;
            if ip.version_ihl != 0x45 || ip.protocol != protocol::IPIP {
                return None;
            }
            (size_of::<Ipv4>(), ETH_IPV4)
        }
        ETH_IPV6 => {
            let ip: &Ipv6 = packet.at(L2)?;
            match ip.next {
                protocol::IPIP => (size_of::<Ipv6>(), ETH_IPV4),
                protocol::IPV6 => (size_of::<Ipv6>(), ETH_IPV6),
                _ => return None,
            }
        }
        _ => return None,
    };
    let ([a, b, c], [d, e, f]) = (ethernet.destination, ethernet.source);
    if !packet.adjust_head(outer as i32) {
        return None;
    }
    let ethernet: &mut Ethernet = packet.at_mut(0)?;
    copy(&[a, b, c], &mut ethernet.destination);
    copy(&[d, e, f], &mut ethernet.source);
    ethernet.protocol = inner;
    Some(())
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
