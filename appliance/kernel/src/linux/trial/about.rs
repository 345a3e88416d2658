//! What route netlink says of a link.

use super::{
    Trials, Tried,
    wire::{find, text_of, u32_of},
};
use crate::{Errno, linux::netlink::Netlink};

/// A link as route netlink sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Kind of a link in software, such as `veth`.
    pub kind: Option<String>,
    /// The bus of the device, such as `pci`.
    pub bus: Option<String>,
    /// The device on its bus.
    pub device: Option<String>,
    /// The longest packet without the Ethernet header, bytes.
    pub mtu: Option<u32>,
    /// Whether it is up.
    pub up: bool,
}

impl Trials {
    /// Asks about the link.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn about(&self) -> Tried<About> {
        const GET_LINK: u16 = 18;
        const LINK_MESSAGE: usize = 16;
        const HEADER: usize = 16;
        const MTU: u16 = 4;
        const LINK_INFO: u16 = 18;
        const INFO_KIND: u16 = 1;
        const PARENT_DEVICE: u16 = 56;
        const PARENT_BUS: u16 = 57;
        let mut body = vec![0; LINK_MESSAGE];
        body[4..8].copy_from_slice(&self.link.ifindex.to_ne_bytes());
        let answers = Netlink::open()?.bytes(GET_LINK, netlink_packet_core::NLM_F_ACK, &body)?;
        let message = answers.first().ok_or(Errno::ENODEV)?;
        let attributes = message.get(HEADER + LINK_MESSAGE..).unwrap_or_default();
        let text = |kind| find(attributes, kind).map(text_of);
        let info = find(attributes, LINK_INFO).unwrap_or_default();
        let flags = message.get(HEADER + 8..).and_then(u32_of).unwrap_or(0);
        Ok(About {
            kind: find(info, INFO_KIND).map(text_of),
            bus: text(PARENT_BUS),
            device: text(PARENT_DEVICE),
            mtu: find(attributes, MTU).and_then(u32_of),
            up: flags & 1 != 0,
        })
    }
}
