//! The driver of a link.

use super::{Asked, HEADER_BYTES, Netlink};
use crate::linux::trial::wire::{find, text_of};
use netlink_packet_core::NLM_F_ACK;
use std::fs;

/// None for a link in software. Asked of route netlink and of the bus, because `/sys/class/net` shows the links of the namespace
/// in which it was mounted.
pub(super) fn of(ifindex: u32) -> Asked<Option<String>> {
    const GET_LINK: u16 = 18;
    const LINK_MESSAGE: usize = 16;
    const PARENT_DEVICE: u16 = 56;
    const PARENT_BUS: u16 = 57;
    let mut body = vec![0; LINK_MESSAGE];
    if let Some(index) = body.get_mut(4..8) {
        index.copy_from_slice(&ifindex.to_ne_bytes());
    }
    let answers = Netlink::open()?.bytes(GET_LINK, NLM_F_ACK, &body)?;
    let message = answers.first().map(|message| message.as_slice()).unwrap_or_default();
    let attributes = message.get(HEADER_BYTES + LINK_MESSAGE..).unwrap_or_default();
    let text = |kind| find(attributes, kind).map(text_of);
    let (Some(bus), Some(device)) = (text(PARENT_BUS), text(PARENT_DEVICE)) else {
        return Ok(None);
    };
    let driver = fs::read_link(format!("/sys/bus/{bus}/devices/{device}/driver")).ok();
    let name = driver.as_deref().and_then(|driver| driver.file_name());
    Ok(name.map(|name| name.to_string_lossy().into_owned()))
}
