use super::{Address, plain::plain};

/// A sampled event, as it stands in the ring buffer.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// [`EventKind`].
    pub kind: u32,
    /// [`super::Reason`].
    pub reason: u32,
    /// Index of the service, or [`Event::NONE`].
    pub service: u32,
    /// Id of the backend, or zero.
    pub backend: u32,
    /// Source address; zero where the packet was not read so far.
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port, host order.
    pub source_port: u16,
    /// Destination port, host order.
    pub destination_port: u16,
    /// IP protocol.
    pub protocol: u8,
    /// 4, 6, or 0 where the packet is neither or was not read so far.
    pub family: u8,
    /// TCP flags.
    pub tcp_flags: u8,
    /// Zero.
    pub reserved: u8,
    /// The link.
    pub ifindex: u32,
    /// Length of the frame in bytes.
    pub length: u32,
}

impl Event {
    /// No service.
    pub const NONE: u32 = u32::MAX;
}

/// What an [`Event`] tells.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A packet was dropped.
    Drop = 0,
    /// A flow began (sampled).
    Flow = 1,
}

plain!(Event);
const _: () = assert!(size_of::<Event>() == 64);
const _: () =
    assert!(core::mem::offset_of!(Event, length) + size_of::<u32>() == size_of::<Event>());
