//! Headers as they are on the wire. Multi-byte fields are in network order.

use crate::abi::{Address, Mac, Plain};

macro_rules! header {
    ($($t:ty),+) => {
        $(#[allow(unsafe_code)]
        // SAFETY: repr(C) with fields of alignment 1 or 2 (or packed(2)), no padding.
        unsafe impl Plain for $t {})+
    };
}

/// Copies a header or an address. A plain assignment between two places in memory becomes a call of
/// `memmove`, which in BPF goes byte by byte.
#[inline(always)]
#[allow(unsafe_code)]
pub fn copy<T: Plain>(from: &T, to: &mut T) {
    // SAFETY: a shared and an exclusive reference do not overlap.
    unsafe { core::ptr::copy_nonoverlapping(from, to, 1) }
}

/// EtherType of IPv4.
pub const ETH_IPV4: u16 = 0x0800u16.to_be();
/// EtherType of IPv6.
pub const ETH_IPV6: u16 = 0x86ddu16.to_be();
/// EtherType of a customer VLAN tag (802.1Q).
pub const ETH_VLAN: u16 = 0x8100u16.to_be();
/// EtherType of a service VLAN tag (802.1ad).
pub const ETH_SERVICE_VLAN: u16 = 0x88a8u16.to_be();

/// IP protocol numbers.
pub mod protocol {
    #![allow(missing_docs)]
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMPV6: u8 = 58;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HIP: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// TCP flags.
pub mod tcp {
    #![allow(missing_docs)]
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const ACK: u8 = 16;
}

/// Ethernet header.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Ethernet {
    #[allow(missing_docs)]
    pub destination: Mac,
    #[allow(missing_docs)]
    pub source: Mac,
    /// EtherType.
    pub protocol: u16,
}

/// VLAN tag, after the EtherType that announces it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Vlan {
    /// Priority, drop eligible, identifier.
    pub tci: u16,
    /// EtherType of what follows.
    pub protocol: u16,
}

/// IPv4 header without options (RFC 791).
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Ipv4 {
    pub version_ihl: u8,
    pub tos: u8,
    pub length: u16,
    pub id: u16,
    /// Flags and offset.
    pub fragment: u16,
    pub ttl: u8,
    pub protocol: u8,
    pub checksum: u16,
    pub source: Word,
    pub destination: Word,
}

/// 'More fragments' and the offset of an IPv4 fragment.
pub const IPV4_MORE: u16 = 0x2000u16.to_be();
/// The offset.
pub const IPV4_OFFSET: u16 = 0x1fffu16.to_be();
/// 'Don't fragment'.
pub const IPV4_DONT_FRAGMENT: u16 = 0x4000u16.to_be();

/// IPv6 header (RFC 8200).
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Ipv6 {
    pub version_class: u16,
    pub flow: u16,
    pub length: u16,
    pub next: u8,
    pub hop_limit: u8,
    pub source: Address6,
    pub destination: Address6,
}

/// An IPv6 address in a packet: words at even offsets.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Address6([Word; 4]);

impl Address6 {
    /// Reads it word by word.
    #[inline(always)]
    pub fn get(&self) -> Address {
        [self.0[0].get(), self.0[1].get(), self.0[2].get(), self.0[3].get()]
    }

    /// Writes it word by word.
    #[inline(always)]
    pub fn set(&mut self, address: &Address) {
        self.0[0].set(address[0]);
        self.0[1].set(address[1]);
        self.0[2].set(address[2]);
        self.0[3].set(address[3]);
    }
}

/// Any IPv6 extension header but the fragment header: next header and length.
#[repr(C)]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Extension {
    pub next: u8,
    pub length: u8,
}

/// IPv6 fragment header.
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Fragment {
    pub next: u8,
    pub reserved: u8,
    pub offset: u16,
    pub id: u32,
}

/// 'More fragments' of an IPv6 fragment.
pub const IPV6_MORE: u16 = 1u16.to_be();
/// The offset.
pub const IPV6_OFFSET: u16 = 0xfff8u16.to_be();

/// TCP header without options (RFC 9293).
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Tcp {
    /// Source port above destination port, as they stand in the packet.
    pub ports: Word,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub data_offset: u8,
    pub flags: u8,
    pub window: u16,
    pub checksum: u16,
    pub urgent: u16,
}

/// UDP header (RFC 768).
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Udp {
    pub ports: Word,
    pub length: u16,
    pub checksum: u16,
}

/// ICMP and ICMPv6 header.
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
#[allow(missing_docs)]
pub struct Icmp {
    pub kind: u8,
    pub code: u8,
    pub checksum: u16,
    /// Unused, MTU, pointer or echo identification.
    pub rest: u32,
}

/// A word at an even offset.
#[repr(C, packed(2))]
#[derive(Clone, Copy)]
pub struct Word(u32);

impl Word {
    /// A word with this value.
    #[inline(always)]
    pub const fn new(word: u32) -> Self {
        Self(word)
    }

    /// Reads it.
    #[inline(always)]
    pub fn get(&self) -> u32 {
        // LLVM knows no processor of this target that reads a word at an even address, and makes it of two halves. All
        // that Sluice runs on do, and the verifier refuses the program where they don't.
        #[cfg(target_arch = "bpf")]
        #[allow(unsafe_code)]
        // SAFETY: a live word. Nothing is derived from its address but the load.
        unsafe {
            *core::ptr::from_ref(self).cast::<u32>()
        }
        #[cfg(not(target_arch = "bpf"))]
        self.0
    }

    /// Writes it.
    #[inline(always)]
    pub fn set(&mut self, word: u32) {
        #[cfg(target_arch = "bpf")]
        #[allow(unsafe_code)]
        // SAFETY: as in `get`.
        unsafe {
            *core::ptr::from_mut(self).cast::<u32>() = word;
        }
        #[cfg(not(target_arch = "bpf"))]
        {
            self.0 = word;
        }
    }
}

/// Copies a hardware address: a word and a half.
#[inline(always)]
pub fn copy_mac(from: &Mac, to: &mut Mac) {
    #[cfg(target_arch = "bpf")]
    #[allow(unsafe_code)]
    // SAFETY: the words lie in the addresses; `Word` has their alignment.
    unsafe {
        let word = (*from.as_ptr().cast::<Word>()).get();
        (*to.as_mut_ptr().cast::<Word>()).set(word);
    }
    #[cfg(not(target_arch = "bpf"))]
    to[..2].copy_from_slice(&from[..2]);
    to[2] = from[2];
}

header!(Ethernet, Vlan, Ipv4, Ipv6, Address6, Extension, Fragment, Tcp, Udp, Icmp, Word);

/// Source port of a ports word, host order.
#[inline(always)]
pub const fn source_port(ports: u32) -> u16 {
    let [a, b, _, _] = ports.to_ne_bytes();
    u16::from_be_bytes([a, b])
}

/// Destination port of a ports word, host order.
#[inline(always)]
pub const fn destination_port(ports: u32) -> u16 {
    let [_, _, c, d] = ports.to_ne_bytes();
    u16::from_be_bytes([c, d])
}

/// A ports word from two ports in host order.
#[inline(always)]
pub const fn ports(source: u16, destination: u16) -> u32 {
    let ([a, b], [c, d]) = (source.to_be_bytes(), destination.to_be_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

const _: () = assert!(size_of::<Ethernet>() == 14 && size_of::<Vlan>() == 4);
const _: () = assert!(size_of::<Ipv4>() == 20 && size_of::<Ipv6>() == 40);
const _: () = assert!(size_of::<Tcp>() == 20 && size_of::<Udp>() == 8 && size_of::<Icmp>() == 8);
