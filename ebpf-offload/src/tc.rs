//! The context of a classifier (`cls_bpf`, direct action) as the datapath sees it.
//!
//! A classifier on a card can say 'drop' and, by not deciding, 'on to the host'. It cannot send a packet out again: no
//! verdict that nfp takes says so, and no helper that it takes grows the packet (`bpf_xdp_adjust_head` is for XDP only).
//! So there is no service stage here.

use aya_ebpf::{bindings::TC_ACT_SHOT, programs::TcContext};
use sluice_datapath::{
    card::{self, CardTables, CardVerdict},
    packet::{Head, RawPacket},
};

/// No decision: the next filter, in the end the host. `TC_ACT_OK` would end the search for filters, which a card cannot
/// pass on to the host (nfp refuses it).
const UNDECIDED: i32 = -1;

struct Context<'a>(&'a TcContext);

impl Head for Context<'_> {
    #[inline(always)]
    fn data(&self) -> usize {
        self.0.data()
    }

    #[inline(always)]
    fn data_end(&self) -> usize {
        self.0.data_end()
    }

    #[inline(always)]
    fn adjust_head(&self, _delta: i32) -> bool {
        false
    }

    #[inline(always)]
    fn adjust_tail(&self, _delta: i32) -> bool {
        false
    }
}

#[inline(always)]
pub fn run<T: CardTables>(context: &TcContext, tables: &T) -> i32 {
    match card::run(&mut RawPacket::new(&Context(context)), tables) {
        CardVerdict::Drop => TC_ACT_SHOT,
        CardVerdict::Pass | CardVerdict::Transmit => UNDECIDED,
    }
}
