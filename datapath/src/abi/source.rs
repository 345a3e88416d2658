use super::plain::plain;

/// Steps of the binary search over the ranges of one service: 2048 of them. 1024 prefixes merge into at
/// most as many disjoint ranges.
pub const SOURCE_STEPS: u32 = 11;

/// Allowed IPv4 sources `low..=high`, host order; ascending and disjoint per service.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRange4 {
    /// First address.
    pub low: u32,
    /// Last address.
    pub high: u32,
}

/// Allowed IPv6 sources; each end as its upper and lower half in host order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceRange6 {
    /// First address.
    pub low: [u64; 2],
    /// Last address.
    pub high: [u64; 2],
}

plain!(SourceRange4, SourceRange6);
