use super::{Address, plain::plain};

/// Exact ports that stand in the line of the address itself.
pub const INLINE_PORTS: usize = 4;

/// How many lines from the home position a lookup reads at most. The builder grows the table until every
/// address stands within this distance.
pub const VIP_PROBES: u32 = 8;

/// Steps of the binary search over [`PortRange`]s: 2^17 ranges per address.
pub const PORT_RANGE_STEPS: u32 = 17;

/// One virtual or pool address and its services: one cache line.
///
/// The table of each family is open-addressed: the home position is [`crate::hash::address`] of the address
/// and the mask of the table; lines follow without a gap; an unused line ends the search.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VipLine {
    /// The address.
    pub address: Address,
    /// What the line holds; zero for an unused line.
    pub flags: VipFlags,
    /// First of the address's [`PortRange`]s.
    pub ranges: u32,
    /// How many ranges there are.
    pub range_count: u32,
    /// For a pool address: index of its first NAT record.
    pub nat: u32,
    /// Services at exact ports. Addresses with more have all of them in the ranges.
    pub ports: [VipPort; INLINE_PORTS],
}

/// A service at an exact port.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VipPort {
    /// [`port_key`]; zero in an unused entry.
    pub key: u32,
    /// Index of the service.
    pub service: u32,
}

/// A service at a range of ports. The ranges of an address are disjoint and ascending.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortRange {
    /// First [`port_key`].
    pub low: u32,
    /// Last [`port_key`].
    pub high: u32,
    /// Index of the service.
    pub service: u32,
    /// Zero.
    pub reserved: u32,
}

/// Protocol and port as one number that orders by protocol, then port. `port` in host order.
#[inline(always)]
pub const fn port_key(protocol: u8, port: u16) -> u32 {
    (protocol as u32) << 16 | port as u32
}

/// What a [`VipLine`] holds.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VipFlags(pub u32);

impl VipFlags {
    /// The line is in use.
    pub const USED: u32 = 1;
    /// Services stand in [`PortRange`]s.
    pub const RANGES: u32 = 2;
    /// The address belongs to a NAT pool: replies arrive here.
    pub const POOL: u32 = 4;
    /// Services of this address exist.
    pub const SERVICES: u32 = 8;

    /// Whether one of these bits is set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

plain!(VipLine, VipPort, PortRange);
const _: () = assert!(size_of::<VipLine>() == 64 && size_of::<PortRange>() == 16);
const _: () = assert!(
    core::mem::offset_of!(VipLine, ports) + size_of::<[VipPort; INLINE_PORTS]>()
        == size_of::<VipLine>()
);
