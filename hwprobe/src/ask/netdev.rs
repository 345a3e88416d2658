//! The family `netdev`: what XDP the driver says it has.

use super::generic::Question;
use super::{Generic, Unanswered};

pub(crate) const ASKED: &str = "netdev genetlink, dev-get, xdp-features";

/// Bits of `enum netdev_xdp_act`.
pub(crate) mod bit {
    pub(crate) const BASIC: u64 = 1;
    pub(crate) const REDIRECT: u64 = 2;
    pub(crate) const REDIRECT_TARGET: u64 = 4;
    pub(crate) const ZERO_COPY: u64 = 8;
    pub(crate) const HARDWARE: u64 = 16;
    pub(crate) const MULTI_BUFFER: u64 = 32;
    pub(crate) const REDIRECT_TARGET_MULTI_BUFFER: u64 = 64;
}

/// The bits of a link.
pub(crate) fn xdp_features(generic: &Generic, ifindex: u32) -> Result<u64, Unanswered> {
    const DEV_GET: u8 = 1;
    const IFINDEX: u16 = 1;
    const XDP_FEATURES: u16 = 3;
    let answer = generic.ask("netdev", DEV_GET, &Question::default().with_u32(IFINDEX, ifindex))?;
    answer.number(XDP_FEATURES).ok_or(Unanswered::Other("no xdp-features in the answer".into()))
}
