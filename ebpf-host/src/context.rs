//! The XDP context as the datapath sees it.

use aya_ebpf::{
    helpers::{bpf_xdp_adjust_head, bpf_xdp_adjust_tail},
    programs::XdpContext,
};
use sluice_datapath::packet::Head;

/// An XDP program's context.
pub struct Context<'a>(pub &'a XdpContext);

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
    fn adjust_tail(&self, delta: i32) -> bool {
        // SAFETY: as in `adjust_head`.
        unsafe { bpf_xdp_adjust_tail(self.0.ctx, delta) == 0 }
    }
}
