use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address as it stands in packets: words in network byte order. An IPv4 address is word 0, the other
/// words are zero; tables are separate per family, so the two never meet.
pub type Address = [u32; 4];

/// The table form of an IPv4 address.
pub const fn address4(address: Ipv4Addr) -> Address {
    [u32::from_ne_bytes(address.octets()), 0, 0, 0]
}

/// The table form of an IPv6 address.
pub const fn address6(address: Ipv6Addr) -> Address {
    let o = address.octets();
    [
        u32::from_ne_bytes([o[0], o[1], o[2], o[3]]),
        u32::from_ne_bytes([o[4], o[5], o[6], o[7]]),
        u32::from_ne_bytes([o[8], o[9], o[10], o[11]]),
        u32::from_ne_bytes([o[12], o[13], o[14], o[15]]),
    ]
}

/// Reads a table address back.
pub fn ip_address(address: Address, ipv6: bool) -> IpAddr {
    if !ipv6 {
        return IpAddr::V4(Ipv4Addr::from(u32::from_be(address[0])));
    }
    let [a, b, c, d] = address.map(|word| u128::from(u32::from_be(word)));
    IpAddr::V6(Ipv6Addr::from(a << 96 | b << 64 | c << 32 | d))
}
