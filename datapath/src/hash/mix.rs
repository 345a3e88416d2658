use crate::abi::Address;

/// Mixes all bits of a word into all others (the finaliser of MurmurHash3, Appleby, public domain).
#[inline(always)]
pub(crate) const fn finish(mut hash: u32) -> u32 {
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

/// An address as one word, every bit of it counting.
#[inline(always)]
pub const fn fold(address: &Address, ipv6: bool) -> u32 {
    if !ipv6 {
        return address[0];
    }
    let mut hash = address[0].wrapping_mul(0x9e37_79b1);
    hash = (hash ^ (hash >> 15) ^ address[1]).wrapping_mul(0x85eb_ca77);
    hash = (hash ^ (hash >> 15) ^ address[2]).wrapping_mul(0xc2b2_ae3d);
    hash ^ (hash >> 15) ^ address[3]
}

/// Home position of an address in a [`crate::abi::VipLine`] table.
#[inline(always)]
pub const fn address(address: &Address, ipv6: bool) -> u32 {
    // What differs among the addresses of one network stands in the upper bits (network order), which a
    // multiplication alone leaves there: they must come down before it.
    let folded = fold(address, ipv6);
    let hash = (folded ^ (folded >> 16)).wrapping_mul(0x9e37_79b1);
    hash ^ (hash >> 16)
}

/// Home position of an IPv4 prefix (masked address).
#[inline(always)]
pub const fn prefix4(address: u32, bits: u32) -> u32 {
    finish(address ^ bits.wrapping_mul(0x9e37_79b1))
}

/// Home position of an IPv6 prefix (masked address).
#[inline(always)]
pub const fn prefix6(address: &Address, bits: u32) -> u32 {
    finish(fold(address, true) ^ bits.wrapping_mul(0x9e37_79b1))
}

/// Bit number (of 2^24) of the /48 of an IPv6 address in the prefilter's bitmap.
#[inline(always)]
pub const fn unit6(address: &Address) -> u32 {
    let half = u32::from_be(address[1]) >> 16;
    finish(address[0].wrapping_mul(0x9e37_79b1) ^ half) & 0x00ff_ffff
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::abi::{VIP_PROBES, address4, address6};
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The longest distance from home in an open-addressed table of `lines` lines.
    fn farthest(homes: impl Iterator<Item = u32>, lines: u32) -> u32 {
        let mut used = vec![false; lines as usize];
        let mut farthest = 0;
        for home in homes {
            let distance = (0..lines).find(|step| !used[((home + step) & (lines - 1)) as usize]);
            let distance = distance.unwrap();
            used[((home + distance) & (lines - 1)) as usize] = true;
            farthest = farthest.max(distance);
        }
        farthest
    }

    #[test]
    fn the_addresses_of_one_network_spread_over_a_small_table() {
        let v4 = (1..=128).map(|host| address4(Ipv4Addr::new(192, 0, 2, host)));
        assert!(farthest(v4.map(|a| address(&a, false)), 512) < VIP_PROBES);
        let v6 = (1..=128).map(|host| address6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host)));
        assert!(farthest(v6.map(|a| address(&a, true)), 512) < VIP_PROBES);
        let nets = (1..=128).map(|net| address4(Ipv4Addr::new(10, net, 0, 1)));
        assert!(farthest(nets.map(|a| address(&a, false)), 512) < VIP_PROBES);
        let nets = (1..=128).map(|net| address6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, 1)));
        assert!(farthest(nets.map(|a| address(&a, true)), 512) < VIP_PROBES);
    }
}
