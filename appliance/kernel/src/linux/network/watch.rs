use super::{failed, parse};
use crate::{
    NetworkEvent, NetworkEvents, Result,
    linux::watcher::{self, Subject},
};
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

/// `RTNLGRP_*`: links, neighbours, addresses, routes and rules of both families.
const GROUPS: &[u32] = &[1, 3, 5, 7, 8, 9, 11, 19];

/// What changes in the network namespace of the calling thread.
pub(super) fn watch() -> Result<NetworkEvents> {
    watcher::watch(Subject {
        protocol: NETLINK_ROUTE,
        groups: GROUPS,
        read,
        overrun: || NetworkEvent::Overrun,
    })
    .map_err(|refusal| failed("watch the network", refusal))
}

fn read(message: &[u8]) -> Option<NetworkEvent> {
    match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
        Ok(NetlinkMessage { payload: NetlinkPayload::InnerMessage(inner), .. }) => {
            parse::event(&inner)
        }
        Ok(_) => None,
        // A change that cannot be read is a change all the same.
        Err(_) => Some(NetworkEvent::Overrun),
    }
}
