use crate::abi::{Address, Backend, BackendFlags, Mac, plain::plain};

/// A backend on the card, by an index of the card's own. The entry behind a slot must be one with
/// [`BackendFlags::USED`]: the packet goes to the host otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardBackend {
    /// The backend's address.
    pub address: Address,
    /// Source address of the outer header.
    pub tunnel_source: Address,
    /// Hardware address of the next hop.
    pub next_hop: Mac,
    /// VLAN tag of the next hop, in network order; zero for none.
    pub vlan: u16,
    /// Hardware address of the card's link.
    pub source_mac: Mac,
    /// Longest IP packet (before encapsulation) that fits the way to the backend, in bytes, host order. Longer ones
    /// go to the host.
    pub max_length: u16,
    /// Of these the program reads [`BackendFlags::USED`] and [`BackendFlags::IPV6`].
    pub flags: BackendFlags,
    /// Id of the backend in the host's tables; only for user space.
    pub backend: u32,
}

impl CardBackend {
    /// The card's copy of the host's backend `id`.
    pub const fn copy_of(id: u32, backend: &Backend) -> Self {
        Self {
            address: backend.address,
            tunnel_source: backend.tunnel_source,
            next_hop: backend.next_hop,
            vlan: backend.vlan,
            source_mac: backend.source_mac,
            max_length: backend.max_length,
            flags: backend.flags,
            backend: id,
        }
    }
}

plain!(CardBackend);
const _: () = assert!(size_of::<CardBackend>() == 56);
const _: () = assert!(core::mem::offset_of!(CardBackend, backend) + 4 == size_of::<CardBackend>());
