//! What the kernel tells over netlink, as a stream.

use super::{netlink::Refusal, netlink::split, readiness::readable};
use crate::Errno;
use futures_util::stream::{self, BoxStream};
use netlink_sys::{Socket, SocketAddr};
use std::collections::VecDeque;
use tokio::io::unix::AsyncFd;
use zeroize::Zeroizing;

/// How the messages of a protocol become what the reader wants.
pub(super) struct Subject<T> {
    pub(super) protocol: isize,
    /// Which multicast groups are listened to.
    pub(super) groups: &'static [u32],
    /// From a message with its header; none if it is of no interest.
    pub(super) read: fn(&[u8]) -> Option<T>,
    /// What stands for messages that were lost.
    pub(super) overrun: fn() -> T,
}

/// What is told from now on in the network namespace of the calling thread.
pub(super) fn watch<T: Send + 'static>(
    subject: Subject<T>,
) -> Result<BoxStream<'static, T>, Refusal> {
    let mut socket = Socket::new(subject.protocol)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in subject.groups {
        socket.add_membership(*group)?;
    }
    socket.set_non_blocking(true)?;
    let socket = readable(socket)?;
    let watcher = Watcher { socket, subject, ready: VecDeque::new(), lost: false };
    Ok(Box::pin(stream::unfold(watcher, |mut watcher| async move {
        watcher.next().await.map(|event| (event, watcher))
    })))
}

struct Watcher<T> {
    socket: AsyncFd<Socket>,
    subject: Subject<T>,
    ready: VecDeque<T>,
    /// Changes were lost. The kernel goes on losing them until everything that waits was read, so it is told only
    /// then: what the reader looks at after that misses nothing.
    lost: bool,
}

impl<T> Watcher<T> {
    /// The stream ends only with an error that no waiting will mend.
    async fn next(&mut self) -> Option<T> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let mut guard = self.socket.readable().await.ok()?;
            match guard.try_io(|socket| socket.get_ref().recv_from_full()) {
                Ok(Ok((datagram, _))) => {
                    // It may hold keys.
                    let datagram = Zeroizing::new(datagram);
                    if !self.lost {
                        self.ready.extend(split(&datagram).filter_map(self.subject.read));
                    }
                }
                Ok(Err(error)) if error.raw_os_error() == Some(Errno::ENOBUFS as i32) => {
                    self.lost = true;
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Ok(Err(_)) => return None,
                Err(_would_block) if self.lost => {
                    self.lost = false;
                    return Some((self.subject.overrun)());
                }
                Err(_would_block) => {}
            }
        }
    }
}
