use super::{Refusal, read};
use crate::{
    IpsecEvent, IpsecEvents,
    linux::watcher::{self, Subject},
};
use netlink_sys::protocols::NETLINK_XFRM;

/// `XFRMNLGRP_*` of `include/uapi/linux/xfrm.h`: acquire, expire, states, policies, progress.
const GROUPS: &[u32] = &[1, 2, 3, 4, 5];

/// What is told in the network namespace of the calling thread.
pub(super) fn watch() -> Result<IpsecEvents, Refusal> {
    watcher::watch(Subject {
        protocol: NETLINK_XFRM,
        groups: GROUPS,
        read: |message| read(message).map(|message| IpsecEvent::Told(Box::new(message))),
        overrun: || IpsecEvent::Overrun,
    })
}
