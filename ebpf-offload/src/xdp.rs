//! The XDP context as the datapath sees it. The verdicts are those of `CardVerdict`.

use aya_ebpf::{helpers::bpf_xdp_adjust_head, programs::XdpContext};
use sluice_datapath::{
    card::{self, CardTables},
    packet::{Head, RawPacket},
};

struct Context<'a>(&'a XdpContext);

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
    fn adjust_head(&self, delta: i32) -> bool {
        // SAFETY: the context is the one this program was called with.
        unsafe { bpf_xdp_adjust_head(self.0.ctx, delta) == 0 }
    }

    #[inline(always)]
    fn adjust_tail(&self, _delta: i32) -> bool {
        // No stage of a card shortens a packet.
        false
    }
}

#[inline(always)]
pub fn run<T: CardTables>(context: &XdpContext, tables: &T) -> u32 {
    card::run(&mut RawPacket::new(&Context(context)), tables) as u32
}
