//! Allowed sources of one service.

use ipnet::IpNet;
use sluice_datapath::abi::{SOURCE_STEPS, SourceRange4, SourceRange6};
use sluice_model::Prefix;

/// Ranges of one service that can be searched.
pub const MAX_SOURCE_RANGES: usize = 1 << SOURCE_STEPS;

/// The prefixes of one family as ascending, disjoint ranges, neighbours joined. The prefixes of the other family can
/// match nothing and are left out.
pub fn ranges4(prefixes: &[Prefix]) -> Vec<SourceRange4> {
    let bounds = prefixes.iter().filter_map(|prefix| match prefix.net() {
        IpNet::V4(net) => Some((net.network().to_bits().into(), net.broadcast().to_bits().into())),
        IpNet::V6(_) => None,
    });
    let range = |(low, high): (u128, u128)| SourceRange4 { low: low as u32, high: high as u32 };
    join(bounds.collect()).into_iter().map(range).collect()
}

/// As [`ranges4`] for IPv6.
pub fn ranges6(prefixes: &[Prefix]) -> Vec<SourceRange6> {
    let bounds = prefixes.iter().filter_map(|prefix| match prefix.net() {
        IpNet::V4(_) => None,
        IpNet::V6(net) => Some((net.network().to_bits(), net.broadcast().to_bits())),
    });
    let halves = |bits: u128| [(bits >> 64) as u64, bits as u64];
    let range = |(low, high)| SourceRange6 { low: halves(low), high: halves(high) };
    join(bounds.collect()).into_iter().map(range).collect()
}

/// The allowed sources of a service: ranges of its family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceRanges {
    V4(Vec<SourceRange4>),
    V6(Vec<SourceRange6>),
}

impl SourceRanges {
    /// The prefixes of one family.
    pub(crate) fn of(prefixes: &[Prefix], v6: bool) -> Self {
        if v6 { Self::V6(ranges6(prefixes)) } else { Self::V4(ranges4(prefixes)) }
    }

    pub(crate) fn count(&self) -> usize {
        match self {
            Self::V4(ranges) => ranges.len(),
            Self::V6(ranges) => ranges.len(),
        }
    }

    pub(crate) fn is_v6(&self) -> bool {
        matches!(self, Self::V6(_))
    }
}

fn join(mut bounds: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    bounds.sort_unstable();
    let mut joined: Vec<(u128, u128)> = Vec::with_capacity(bounds.len());
    for (low, high) in bounds {
        match joined.last_mut() {
            Some(last) if low <= last.1.saturating_add(1) => last.1 = last.1.max(high),
            _ => joined.push((low, high)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn prefixes(text: &[&str]) -> Vec<Prefix> {
        text.iter().map(|prefix| prefix.parse().unwrap()).collect()
    }

    #[test]
    fn neighbours_and_parts_are_joined() {
        let ranges = ranges4(&prefixes(&[
            "10.0.1.0/24",
            "10.0.0.0/24",
            "10.0.0.7/32",
            "10.0.3.0/24",
            "::/0",
        ]));
        let range = |low: [u8; 4], high: [u8; 4]| SourceRange4 {
            low: u32::from_be_bytes(low),
            high: u32::from_be_bytes(high),
        };
        assert_eq!(
            ranges,
            [range([10, 0, 0, 0], [10, 0, 1, 255]), range([10, 0, 3, 0], [10, 0, 3, 255])]
        );
    }

    #[test]
    fn everything_is_one_range() {
        assert_eq!(
            ranges4(&prefixes(&["0.0.0.0/0", "10.0.0.0/8"])),
            [SourceRange4 { low: 0, high: u32::MAX }]
        );
        let all = SourceRange6 { low: [0; 2], high: [u64::MAX; 2] };
        assert_eq!(ranges6(&prefixes(&["::/1", "8000::/1", "10.0.0.0/8"])), [all]);
    }

    #[test]
    fn ipv6_ranges_are_in_host_order() {
        let range =
            SourceRange6 { low: [0x2001_0db8_0000_0000, 0], high: [0x2001_0db8_0000_0000, 0xffff] };
        assert_eq!(ranges6(&prefixes(&["2001:db8::/112"])), [range]);
    }

    proptest! {
        #[test]
        fn a_source_is_in_the_ranges_if_it_is_in_a_prefix(
            nets in prop::collection::vec((0_u32..256, 24_u8..=32), 0..20),
            source in 0_u32..256,
        ) {
            let base = u32::from_be_bytes([10, 0, 0, 0]);
            let nets: Vec<Prefix> = nets
                .into_iter()
                .map(|(host, length)| format!("{}/{length}", Ipv4Addr::from(base + host)).parse::<Prefix>().unwrap())
                .map(Prefix::truncated)
                .collect();
            let ranges = ranges4(&nets);
            prop_assert!(ranges.windows(2).all(|pair| pair[0].high < pair[1].low - 1));
            let source = base + source;
            let address = std::net::IpAddr::from(Ipv4Addr::from(source));
            let inside = ranges.iter().any(|range| range.low <= source && source <= range.high);
            prop_assert_eq!(inside, nets.iter().any(|prefix| prefix.net().contains(&address)));
        }
    }
}
