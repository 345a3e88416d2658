use crate::abi::{Address, ServiceFlags, plain::plain};

/// An IPv4 service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardServiceKey4 {
    /// The virtual address.
    pub address: u32,
    /// [`crate::abi::port_key`].
    pub port: u32,
}

/// An IPv6 service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CardServiceKey6 {
    /// The virtual address.
    pub address: Address,
    /// [`crate::abi::port_key`].
    pub port: u32,
}

/// A service that the card delivers: by encapsulation, to any source, with quiet slots, and with backends that are
/// all reached by the link of the card.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardService {
    /// First of its slots on the card.
    pub base: u32,
    /// Number of its slots less one, the same as on the host: the slot of a flow is chosen by the same bits.
    pub mask: u32,
    /// Of these the program reads [`ServiceFlags::AFFINITY`].
    pub flags: ServiceFlags,
    /// Index of the service in the host's tables; only for user space.
    pub service: u32,
}

/// The backend of one Maglev slot.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardSlot(pub u32);

impl CardSlot {
    /// Nobody: the packet goes to the host.
    pub const EMPTY: Self = Self(0);

    /// The backend at this index of the card's table of backends, which is not [`u32::MAX`].
    #[inline(always)]
    pub const fn new(backend: u32) -> Self {
        Self(backend.wrapping_add(1))
    }

    /// The index of the backend.
    #[inline(always)]
    pub const fn backend(self) -> Option<u32> {
        self.0.checked_sub(1)
    }
}

plain!(CardServiceKey4, CardServiceKey6, CardService, CardSlot);
const _: () = assert!(size_of::<CardServiceKey4>() == 8 && size_of::<CardServiceKey6>() == 20);
const _: () = assert!(size_of::<CardService>() == 16 && size_of::<CardSlot>() == 4);
