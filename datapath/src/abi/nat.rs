use super::{Address, Mac, Shared32, plain::plain};

/// Ports of one address and protocol: a record for each.
pub const NAT_PORTS: u32 = 65536;

/// Records of one pool address: TCP, then UDP.
pub const NAT_INDICES_PER_ADDRESS: u32 = 2 * NAT_PORTS;

/// Ports in one set. A flow's hash names two sets; the flow takes a free port of one of them.
pub const NAT_WAYS: usize = 16;

/// The port that a record index stands for, in host order.
#[inline(always)]
pub const fn nat_index_port(index: u32) -> u16 {
    index as u16
}

/// The pool of a service: `addresses` consecutive pool addresses from the record index `first`, and of each
/// the sets `set_low..set_low + set_count` (a set is [`NAT_WAYS`] consecutive ports).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatPool {
    /// First pool address (not record): its number in the list of all pool addresses of the family.
    pub first: u16,
    /// How many addresses.
    pub addresses: u16,
    /// First set of ports.
    pub set_low: u16,
    /// How many sets.
    pub set_count: u16,
}

/// The tags of one set: where a flow from outside finds its port with one cache line. Zero is free.
#[repr(C, align(64))]
#[derive(Clone, Debug, Default)]
pub struct NatTags {
    /// Upper half of the flow's hash, never zero.
    pub tags: [Shared32; NAT_WAYS],
}

/// One translated flow: one cache line, found by its index (address, protocol, port) from a reply and by its
/// tag from a request.
#[repr(C, align(64))]
#[derive(Clone, Debug, Default)]
pub struct NatRecord {
    /// The client's address.
    pub client: Address,
    /// The client's port, host order.
    pub client_port: u16,
    /// The port of the virtual address that the client called, host order.
    pub service_port: u16,
    /// Index of the service.
    pub service: u32,
    /// Id of the backend.
    pub backend: u32,
    /// [`NatState`] bits; zero in a free record.
    pub state: Shared32,
    /// Tick of the last packet.
    pub seen: Shared32,
    /// Replies leave by the link that the requests came from.
    pub ifindex: Shared32,
    /// The neighbour that the requests came from.
    pub next_hop: Mac,
    /// VLAN tag of the requests in network order; zero for none.
    pub vlan: u16,
    /// Our own hardware address, as the requests named it.
    pub source_mac: Mac,
    /// Longest IP packet that the client's link sends, in bytes, host order.
    pub max_length: u16,
    /// Zero.
    pub reserved: [u16; 4],
}

/// What the datapath saw of a translated flow.
pub struct NatState;

impl NatState {
    /// The record is in use.
    pub const USED: u32 = 1;
    /// A reply was seen.
    pub const REPLIED: u32 = 2;
    /// FIN from the client.
    pub const CLIENT_FIN: u32 = 4;
    /// FIN from the backend.
    pub const BACKEND_FIN: u32 = 8;
    /// RST from either.
    pub const RESET: u32 = 16;
    /// The flow is UDP.
    pub const UDP: u32 = 32;
    /// The flow is IPv6.
    pub const IPV6: u32 = 64;
}

plain!(NatTags, NatRecord);
const _: () = assert!(size_of::<NatTags>() == 64 && size_of::<NatRecord>() == 64);
// No padding behind the last field: uninitialised bytes would be read as words.
const _: () = assert!(core::mem::offset_of!(NatRecord, reserved) + size_of::<[u16; 4]>() == 64);
