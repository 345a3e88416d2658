use super::{Address, plain::plain};

/// A hardware address as three words in network order.
pub type Mac = [u16; 3];

/// Backend ids fit into 24 bits: a remembered flow packs its backend and its tag into one word.
pub const MAX_BACKEND_ID: u32 = (1 << 24) - 1;

/// One backend of one service, with its next hop: one cache line. Index 0 is never used
/// ([`super::NO_BACKEND`]). Every group of fields that must change together is one aligned word.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backend {
    /// The backend's address.
    pub address: Address,
    /// Source address of the outer header (DSR).
    pub tunnel_source: Address,
    /// Hardware address of the next hop.
    pub next_hop: Mac,
    /// VLAN tag of the next hop, in network order; zero for none.
    pub vlan: u16,
    /// Hardware address of the link the packet leaves by.
    pub source_mac: Mac,
    /// Longest IP packet (before encapsulation) that fits the way to the backend, in bytes, host order.
    pub max_length: u16,
    /// The link the packet leaves by.
    pub ifindex: u32,
    /// State of the record.
    pub flags: BackendFlags,
    /// Index of the service.
    pub service: u32,
    /// Port in host order; zero keeps the packet's port.
    pub port: u16,
    /// Zero.
    pub reserved: u16,
}

/// State of a [`Backend`].
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendFlags(pub u32);

impl BackendFlags {
    /// The record is in use.
    pub const USED: u32 = 1;
    /// Address and outer header are IPv6.
    pub const IPV6: u32 = 2;
    /// The next hop is known.
    pub const RESOLVED: u32 = 4;
    /// The backend is dead: flows on it are lost.
    pub const DEAD: u32 = 8;

    /// Whether one of these bits is set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

plain!(Backend);
const _: () = assert!(size_of::<Backend>() == 64);
const _: () =
    assert!(core::mem::offset_of!(Backend, reserved) + size_of::<u16>() == size_of::<Backend>());
