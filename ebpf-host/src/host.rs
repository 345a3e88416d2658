//! The datapath as XDP programs for the host.
#![no_std]
#![no_main]

mod context;
mod maps;

use aya_ebpf::{bindings::xdp_action, helpers::bpf_redirect, macros::xdp, programs::XdpContext};
use context::Context;
use maps::{Maps, PROGRAMS};
use sluice_datapath::{
    self as datapath, Action, Next, Outcome, Program, Tables, packet::RawPacket,
};

macro_rules! programs {
    ($($entry:ident $stage:ident $(::<$v6:literal>)?, $doc:literal;)+) => {
        $(#[doc = $doc]
        #[xdp]
        // The entry point that the macro makes would call it, and a tail call out of a called function costs more.
        #[inline(always)]
        fn $entry(context: XdpContext) -> u32 {
            let head = Context(&context);
            let next = datapath::$stage $(::<$v6, _, _>)? (&mut RawPacket::new(&head), &Maps);
            proceed(&context, next)
        })+
    };
}

programs! {
    sluice_xdp fast, "The fast program: what a link runs.";
    sluice_full4 full::<false>, "What the fast program leaves, IPv4.";
    sluice_full6 full::<true>, "What the fast program leaves, IPv6.";
    sluice_nat4 nat::<false>, "What needs translation, IPv4.";
    sluice_nat6 nat::<true>, "What needs translation, IPv6.";
    sluice_icmp4 icmp::<false>, "ICMP errors.";
    sluice_icmp6 icmp::<true>, "ICMPv6 errors.";
    sluice_icmpnat4 icmp_nat::<false>, "ICMP errors of translated flows.";
    sluice_icmpnat6 icmp_nat::<true>, "ICMPv6 errors of translated flows.";
    sluice_frag4 fragment::<false>, "Later IPv4 fragments.";
    sluice_frag6 fragment::<true>, "Later IPv6 fragments.";
    sluice_fragnat4 fragment_nat::<false>, "Later IPv4 fragments of translated datagrams.";
    sluice_fragnat6 fragment_nat::<true>, "Later IPv6 fragments of translated datagrams.";
    sluice_open4 open::<false>, "Translated flows that begin, IPv4.";
    sluice_open6 open::<true>, "Translated flows that begin, IPv6.";
    sluice_toobig4 too_big::<false>, "Answers to IPv4 packets that are too big.";
    sluice_toobig6 too_big::<true>, "Answers to IPv6 packets that are too big.";
}

/// Tells user space of a drop.
#[xdp]
fn sluice_event(context: XdpContext) -> u32 {
    let head = Context(&context);
    datapath::event(&RawPacket::new(&head), &Maps);
    xdp_action::XDP_DROP
}

/// Returns the current tick: user space has no other way to read the clock of the tables.
#[xdp]
fn sluice_clock(_: XdpContext) -> u32 {
    if maps::keep_names() { Maps.now() } else { 0 }
}

/// Ends the packet or continues in another program.
#[inline(always)]
fn proceed(context: &XdpContext, next: Next) -> u32 {
    let (program, otherwise) = match next {
        Next::Done(outcome) => return verdict(&outcome),
        Next::Event(outcome) => (Program::Event, verdict(&outcome)),
        // Returned only if the loader forgot the program.
        Next::Program(program) => (program, xdp_action::XDP_ABORTED),
    };
    // SAFETY: the programs are of this type.
    unsafe { PROGRAMS.tail_call(context, program as u32) };
    otherwise
}

#[inline(always)]
fn verdict(outcome: &Outcome) -> u32 {
    match outcome.action(Maps.settings().ifindex) {
        Action::Pass => xdp_action::XDP_PASS,
        Action::Drop => xdp_action::XDP_DROP,
        Action::Transmit => xdp_action::XDP_TX,
        // SAFETY: no pointers.
        Action::Redirect(ifindex) => unsafe { bpf_redirect(ifindex, 0) as u32 },
    }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
