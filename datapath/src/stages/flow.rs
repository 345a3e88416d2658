use crate::{
    abi::Address,
    hash::{self, FlowHash},
    packet::wire::{protocol, tcp},
};

/// What the stages need to know of a packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Where the IP header begins: 14, 18 or 22.
    pub l3: usize,
    /// Where the transport header begins.
    pub l4: usize,
    /// Source address; see [`Address`].
    pub source: Address,
    /// Destination address.
    pub destination: Address,
    /// Source port above destination port, as they stand in the packet; zero where it has none.
    pub ports: u32,
    /// Length of the IP packet in bytes, header included.
    pub length: u16,
    /// Transport protocol.
    pub protocol: u8,
    /// TCP flags; zero for others.
    pub tcp_flags: u8,
    /// Type of service or traffic class.
    pub tos: u8,
    /// Which part of a datagram it is.
    pub fragmented: Fragmented,
    /// 'Don't fragment', or IPv6.
    pub dont_fragment: bool,
    /// Identification: of IPv4 as it stands in the packet, of an IPv6 fragment too.
    pub id: u32,
    /// The outer VLAN tag in network order; zero for none.
    pub vlan: u16,
}

/// Which part of a datagram a packet is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fragmented {
    /// All of it.
    #[default]
    Whole,
    /// The first fragment: with ports.
    First,
    /// A later fragment: without ports.
    Later,
}

impl Flow {
    /// The hash that chooses slot, bucket and set.
    #[inline(always)]
    pub fn hash<const V6: bool>(&self) -> FlowHash {
        hash::flow(
            hash::fold(&self.source, V6),
            hash::fold(&self.destination, V6),
            self.ports,
            self.protocol,
        )
    }

    /// The hash of the datagram that the packet is a fragment of.
    #[inline(always)]
    pub fn datagram<const V6: bool>(&self) -> FlowHash {
        // RFC 791: source, destination, protocol, identification; RFC 8200 leaves the protocol out.
        let kind = if V6 { 0 } else { self.protocol };
        hash::flow(
            hash::fold(&self.source, V6),
            hash::fold(&self.destination, V6),
            self.id,
            kind ^ 0x80,
        )
    }

    /// Whether the packet is TCP and opens a connection.
    #[inline(always)]
    pub fn is_syn(&self) -> bool {
        self.protocol == protocol::TCP && self.tcp_flags & (tcp::SYN | tcp::ACK) == tcp::SYN
    }
}

/// Whether two addresses are the same.
#[inline(always)]
pub(crate) fn same<const V6: bool>(a: &Address, b: &Address) -> bool {
    a[0] == b[0] && (!V6 || (a[1] == b[1] && a[2] == b[2] && a[3] == b[3]))
}
