use super::{failed, parse};
use crate::{
    Errno, NetworkEvent, NetworkEvents, Result,
    linux::{
        netlink::{Refusal, split},
        readiness::readable,
    },
};
use futures_util::stream;
use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use std::collections::VecDeque;
use tokio::io::unix::AsyncFd;

/// `RTNLGRP_*`: links, neighbours, addresses, routes and rules of both families.
const GROUPS: [u32; 8] = [1, 3, 5, 7, 8, 9, 11, 19];

/// What changes in the network namespace of the calling thread.
pub(super) fn watch() -> Result<NetworkEvents> {
    let socket = open().map_err(|refusal| failed("watch the network", refusal))?;
    let watcher = Watcher { socket, ready: VecDeque::new(), lost: false };
    Ok(Box::pin(stream::unfold(watcher, |mut watcher| async move {
        watcher.next().await.map(|event| (event, watcher))
    })))
}

fn open() -> Result<AsyncFd<Socket>, Refusal> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    socket.set_non_blocking(true)?;
    Ok(readable(socket)?)
}

struct Watcher {
    socket: AsyncFd<Socket>,
    ready: VecDeque<NetworkEvent>,
    /// Changes were lost. The kernel goes on losing them until everything that waits was read, so it is told only
    /// then: what the reader looks at after that misses nothing.
    lost: bool,
}

impl Watcher {
    /// The stream ends only with an error that no waiting will mend.
    async fn next(&mut self) -> Option<NetworkEvent> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let mut guard = self.socket.readable().await.ok()?;
            match guard.try_io(|socket| socket.get_ref().recv_from_full()) {
                Ok(Ok(_)) if self.lost => {}
                Ok(Ok((datagram, _))) => self.read(&datagram),
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    self.lost = true;
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(Err(_)) => return None,
                Err(_would_block) if self.lost => {
                    self.lost = false;
                    return Some(NetworkEvent::Overrun);
                }
                Err(_would_block) => {}
            }
        }
    }

    fn read(&mut self, datagram: &[u8]) {
        for message in split(datagram) {
            match NetlinkMessage::<RouteNetlinkMessage>::deserialize(message) {
                Ok(message) => {
                    if let NetlinkPayload::InnerMessage(inner) = &message.payload {
                        self.ready.extend(parse::event(inner));
                    }
                }
                // A change that cannot be read is a change all the same.
                Err(_) => self.ready.push_back(NetworkEvent::Overrun),
            }
        }
    }
}
