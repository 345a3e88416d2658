//! Programs of the benchmarks: the wrapper that runs another program on many different packets, and the floors.
#![no_std]
#![no_main]

mod context;
mod floors;

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::{Array, ProgramArray},
    helpers::bpf_xdp_adjust_head,
    macros::{btf_map, xdp},
    programs::XdpContext,
};
use sluice_datapath::hash;

/// What the wrapper is told and what it tells: words, so that user space writes it as an array.
#[repr(C)]
pub struct State {
    /// Number of the next packet.
    next: u64,
    /// Number of flows less one; a power of two of them.
    mask: u64,
    /// Added to the number of a flow.
    offset: u64,
    /// [`TABLE`] | [`IPV6`] | [`KEEP`].
    flags: u64,
    /// Packets of one run, at most [`MOST`].
    packets: u64,
    /// The verdict that every packet must get.
    expected: u64,
    /// Packets that got another.
    unexpected: u64,
    /// Zero.
    reserved: u64,
    /// The headers of every packet, before the flow is written into them.
    headers: [u32; 20],
}

/// The flows stand in [`FLOWS`]; else they are computed from their numbers.
const TABLE: u64 = 1;
/// The packet is IPv6.
const IPV6: u64 = 2;
/// The last packet stays as the program left it.
const KEEP: u64 = 4;
/// The kernel ends a chain of tail calls after 33; a program under test makes at most three for one packet.
const MOST: u64 = 16;
/// In the map of programs: what is called, and what [`bench_slow`] calls after its idle work.
const CALLED: u32 = 0;
const BEHIND: u32 = 1;

/// A flow of a table: the words that differ. Addresses differ in their last word.
#[repr(C)]
pub struct FlowWords {
    source: u32,
    destination: u32,
    ports: u32,
    reserved: u32,
}

const FLOWS_LENGTH: usize = 1 << 22;

#[btf_map]
static TARGET: ProgramArray<2> = ProgramArray::new();
#[btf_map]
static STATE: Array<State, 1> = Array::new();
#[btf_map]
static FLOWS: Array<FlowWords, FLOWS_LENGTH> = Array::new();

/// Bytes of the frame that are restored: Ethernet, IPv6 and TCP without options.
const HEADERS: usize = 74;

/// Runs the program in [`TARGET`] on several packets. Before each, the headers are written anew, because a test run
/// gives the program its own output; after each, the head of the packet is put back.
#[xdp]
#[inline(always)]
fn bench_wrap(context: XdpContext) -> u32 {
    let Some(state) = STATE.get_ptr_mut(0) else { return xdp_action::XDP_ABORTED };
    // SAFETY: test runs are serial.
    let state = unsafe { &mut *state };
    let (packets, keep) = (state.packets, state.flags & KEEP != 0);
    let mut verdict = xdp_action::XDP_ABORTED;
    for number in 0..MOST {
        if number >= packets {
            break;
        }
        let length = context.data_end() - context.data();
        if prepare(&context, state).is_none() {
            return xdp_action::XDP_ABORTED;
        }
        verdict = call(&context);
        if u64::from(verdict) != state.expected {
            state.unexpected += 1;
        }
        let grown = (context.data_end() - context.data()).wrapping_sub(length);
        if grown != 0 && !(keep && number + 1 == packets) {
            // SAFETY: the context is the one this program was called with.
            unsafe { bpf_xdp_adjust_head(context.ctx, grown as i32) };
        }
    }
    verdict
}

/// Writes the headers of the next packet. Words of the size of the fields: a program that reads a field just after
/// a wider or a split write would wait for it, which no packet from a NIC makes it do.
#[inline(always)]
fn prepare(context: &XdpContext, state: &mut State) -> Option<()> {
    let start = context.data();
    if start + HEADERS > context.data_end() {
        return None;
    }
    let from = state.headers.as_ptr() as usize;
    let restore = |at: usize| {
        // SAFETY: below `HEADERS`, which both sides hold; unaligned words are a machine's business here.
        unsafe { *((start + at) as *mut u32) = *((from + at) as *const u32) }
    };
    restore(0);
    restore(4);
    restore(8);
    // SAFETY: as above.
    unsafe { *((start + 12) as *mut u16) = *((from + 12) as *const u16) };
    let number = state.next;
    state.next = number + 1;
    let flow = (number & state.mask).wrapping_add(state.offset) as u32;
    let words = if state.flags & TABLE != 0 {
        let words = FLOWS.get(flow)?;
        [words.source, words.destination, words.ports, words.source]
    } else {
        let mixed = hash::source(flow);
        // SAFETY: as above.
        let (destination, ports) = unsafe {
            if state.flags & IPV6 != 0 {
                (*((from + 50) as *const u32), *((from + 54) as *const u32))
            } else {
                (*((from + 30) as *const u32), *((from + 34) as *const u32))
            }
        };
        // Any source port above the privileged ones.
        let port = u16::to_be((mixed >> 16) as u16 | 0x4000);
        [mixed, destination, ports & 0xffff_0000 | u32::from(port), mixed]
    };
    let [source, destination, ports, network] = words;
    let write = |at: usize, word: u32| {
        // SAFETY: as above.
        unsafe { *((start + at) as *mut u32) = word }
    };
    if state.flags & IPV6 != 0 {
        restore(14);
        restore(18);
        if state.flags & TABLE != 0 {
            restore(22);
        } else {
            write(22, network);
        }
        restore(26);
        restore(30);
        write(34, source);
        restore(38);
        restore(42);
        restore(46);
        write(50, destination);
        write(54, ports);
        restore(58);
        restore(62);
        restore(66);
        restore(70);
    } else {
        restore(14);
        restore(18);
        restore(22);
        write(26, source);
        write(30, destination);
        write(34, ports);
        restore(38);
        restore(42);
        restore(46);
        restore(50);
    }
    Some(())
}

/// Turns of idle work: some 30 ns.
const TURNS: usize = 12;

/// Does nothing for a while and then what the program behind it does: a slow-down that a gate must notice.
#[xdp]
#[inline(always)]
fn bench_slow(context: XdpContext) -> u32 {
    let mut word = (context.data_end() - context.data()) as u32;
    for _ in 0..TURNS {
        word = hash::source(word);
    }
    // SAFETY: a reference to a live number. Volatile, or the compiler would leave the work out.
    let word = unsafe { (&raw const word).read_volatile() };
    if word != 0 {
        // SAFETY: the programs are of this type.
        unsafe { TARGET.tail_call(&context, BEHIND) };
    }
    xdp_action::XDP_ABORTED
}

#[inline(never)]
fn call(context: &XdpContext) -> u32 {
    let failed = xdp_action::XDP_ABORTED;
    // SAFETY: the programs are of this type; the target returns to our caller.
    unsafe { TARGET.tail_call(context, CALLED) };
    // SAFETY: a reference to a live number. Volatile, or the compiler would know what this function returns.
    unsafe { (&raw const failed).read_volatile() }
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    loop {}
}
