use netlink_sys::Socket;
use std::{io, os::fd::AsRawFd};
use tokio::io::{Interest, unix::AsyncFd};

/// Something that keeps one descriptor open for as long as it lives.
///
/// # Safety
/// `as_raw_fd` always returns that descriptor.
#[allow(unsafe_code)]
pub(super) unsafe trait OneDescriptor: AsRawFd {}

// SAFETY: a socket closes its descriptor when it is dropped, and never changes it.
#[allow(unsafe_code)]
unsafe impl OneDescriptor for Socket {}

// SAFETY: a ring holds its map, and with it the descriptor.
#[allow(unsafe_code)]
unsafe impl OneDescriptor for aya::maps::RingBuf<aya::maps::MapData> {}

/// Lets the runtime say when there is something to read.
pub(super) fn readable<T: OneDescriptor>(of: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: what `OneDescriptor` promises.
    #[allow(unsafe_code)]
    let registered = unsafe { AsyncFd::register_with_interest(of, Interest::READABLE) };
    registered.map_err(|error| error.into_parts().1)
}
