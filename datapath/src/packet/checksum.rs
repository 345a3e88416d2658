use crate::abi::Address;

/// How a one's complement checksum changes when words under it change (RFC 1624, equation 3: HC' = ~(~HC + ~m
/// + m')). Words are taken as they stand in memory: the sum is the same in either byte order (RFC 1071).
#[derive(Clone, Copy, Debug, Default)]
pub struct Delta(u64);

impl Delta {
    /// Nothing has changed.
    #[inline(always)]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Two bytes changed.
    #[inline(always)]
    pub const fn half(self, old: u16, new: u16) -> Self {
        Self(self.0 + (!old) as u64 + new as u64)
    }

    /// Four bytes changed.
    #[inline(always)]
    pub const fn word(self, old: u32, new: u32) -> Self {
        Self(self.0 + (!old) as u64 + new as u64)
    }

    /// An IPv6 address changed.
    #[inline(always)]
    pub const fn address(self, old: &Address, new: &Address) -> Self {
        self.word(old[0], new[0]).word(old[1], new[1]).word(old[2], new[2]).word(old[3], new[3])
    }

    /// Two changes together.
    #[inline(always)]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    /// The new checksum.
    #[inline(always)]
    pub const fn apply(self, checksum: u16) -> u16 {
        !fold(self.0 + (!checksum) as u64)
    }

    /// The new checksum of UDP: zero means 'none' there and stays (`none_allowed`: IPv4), and a computed zero
    /// is sent as all ones (RFC 768).
    #[inline(always)]
    pub const fn apply_udp(self, checksum: u16) -> u16 {
        if checksum == 0 {
            return 0;
        }
        match self.apply(checksum) {
            0 => 0xffff,
            new => new,
        }
    }

    /// The checksum of a fresh header or message: its words were added with `old` zero... see [`Delta::sum`].
    #[inline(always)]
    pub const fn checksum(self) -> u16 {
        !fold(self.0)
    }

    /// Adds a word to a sum that is computed afresh.
    #[inline(always)]
    pub const fn sum(self, word: u32) -> Self {
        Self(self.0 + word as u64)
    }

    /// Adds two bytes to a sum that is computed afresh.
    #[inline(always)]
    pub const fn sum_half(self, half: u16) -> Self {
        Self(self.0 + half as u64)
    }
}

/// Folds the carries in. 64 bits hold the sum of more words than any packet has.
#[inline(always)]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}
