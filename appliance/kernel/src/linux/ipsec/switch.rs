//! The switch for IPsec on a card. The kernel gives a state to a card whose switch is off, and then neither card nor host may do
//! the work: the state is shown as offloaded.

use super::{Asked, HEADER_BYTES, Netlink};
use crate::linux::{
    generic::{self, GENERIC_HEADER},
    trial::wire::{Attributes, find, list, text_of},
};
use netlink_packet_core::NLM_F_ACK;

const FEATURE: &str = "esp-hw-offload";

/// Whether a link has the switch and it is off. A link without is asked what it takes like any other.
pub(super) fn is_off(ifindex: u32) -> Asked<bool> {
    /// `ETHTOOL_MSG_FEATURES_GET` and `ETHTOOL_A_*` of `include/uapi/linux/ethtool_netlink.h`.
    const GET_FEATURES: u8 = 11;
    const HEADER: u16 = 1;
    const DEVICE_INDEX: u16 = 1;
    const CHANGEABLE: u16 = 2;
    const ACTIVE: u16 = 4;
    let mut socket = Netlink::open_generic()?;
    let family = generic::family(&mut socket, "ethtool")?;
    let device = Attributes::default().with_u32(DEVICE_INDEX, ifindex);
    let mut request = vec![GET_FEATURES, 1, 0, 0];
    request.extend(Attributes::default().with_nested(HEADER, &device).bytes());
    let answers = socket.bytes(family, NLM_F_ACK, &request)?;
    let attributes = answers.first().and_then(|answer| answer.get(HEADER_BYTES + GENERIC_HEADER..));
    let attributes = attributes.unwrap_or_default();
    let in_set = |set| find(attributes, set).is_some_and(names_feature);
    Ok(in_set(CHANGEABLE) && !in_set(ACTIVE))
}

/// Whether a set of bits, which lists those that are set, has the feature.
fn names_feature(set: &[u8]) -> bool {
    const BITS: u16 = 3;
    const NAME: u16 = 2;
    let bits = find(set, BITS).unwrap_or_default();
    list(bits).any(|(_, bit)| find(bit, NAME).is_some_and(|name| text_of(name) == FEATURE))
}
