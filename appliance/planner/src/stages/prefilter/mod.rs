//! The stage `prefilter`: denied and allowed source prefixes of all objects as the two levels of its tables.

mod change;
mod in_place;
mod ipv4;
mod ipv6;
mod plan;
#[cfg(test)]
mod tests;

pub use in_place::PrefilterWords;
pub use ipv4::Half4;
pub use ipv6::Half6;
pub use plan::Prefilters;

use ipnet::IpNet;

/// Lines of the smallest half.
pub const MIN_LINES: usize = 64;
/// Lines of the largest half.
const MAX_LINES: usize = 1 << 22;

/// What a prefix says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule<P> {
    /// The prefix, without host bits.
    pub prefix: P,
    /// Drop what comes from it; else let it pass.
    pub deny: bool,
}

/// Why there is no table for a set of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// The prefix is denied and allowed.
    Twice(IpNet),
    /// The largest table has no place for the prefix, because too many have its hash.
    NoPlace(IpNet),
}

fn set_bits(words: &mut [u64], first: u32, last: u32) {
    for (word, bits) in
        words.iter_mut().enumerate().take(last as usize / 64 + 1).skip(first as usize / 64)
    {
        let base = word as u32 * 64;
        let low = first.saturating_sub(base);
        let high = (last - base).min(63);
        *bits |= u64::MAX << low & u64::MAX >> (63 - high);
    }
}
