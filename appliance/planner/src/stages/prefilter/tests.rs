//! The tables against a naive longest match, searched by the datapath's own code.

use super::*;
use ipnet::{Ipv4Net, Ipv6Net};
use proptest::prelude::*;
use sluice_datapath::{
    abi::{
        Plain, PrefilterControl, PrefilterHeader4, PrefilterHeader6, Settings, Shared32, Table,
        address4, address6,
    },
    native::MemoryTables,
    stages::prefilter::{longest4, longest6},
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Tables with this set in the second half.
fn tables(v4: &[Rule<Ipv4Net>], v6: &[Rule<Ipv6Net>]) -> MemoryTables {
    let (half4, half6) = (Half4::new(v4).unwrap(), Half6::new(v6).unwrap());
    let (lines4, lines6) = (half4.lines.len() as u32, half6.lines.len() as u32);
    let settings =
        Settings { prefilter4_half: lines4, prefilter6_half: lines6, ..Settings::default() };
    let sizes = [
        (Table::PrefilterControl, 1),
        (Table::Prefilter4Header, 2),
        (Table::Prefilter4Bitmap, 2 << 18),
        (Table::Prefilter4Lines, 2 * lines4),
        (Table::Prefilter6Header, 2),
        (Table::Prefilter6Bitmap, 2 << 18),
        (Table::Prefilter6Lines, 2 * lines6),
    ];
    let mut tables = MemoryTables::new(settings, sizes);
    let active = PrefilterControl { active4: Shared32::new(1), active6: Shared32::new(1) };
    put(&mut tables, Table::PrefilterControl, 0, &[active]);
    put::<PrefilterHeader4>(&mut tables, Table::Prefilter4Header, 1, &[half4.header]);
    put_bits(&mut tables, Table::Prefilter4Bitmap, 1 << 18, &half4.bitmap);
    put(&mut tables, Table::Prefilter4Lines, lines4, &half4.lines);
    put::<PrefilterHeader6>(&mut tables, Table::Prefilter6Header, 1, &[half6.header]);
    put_bits(&mut tables, Table::Prefilter6Bitmap, 1 << 18, &half6.bitmap);
    put(&mut tables, Table::Prefilter6Lines, lines6, &half6.lines);
    tables
}

/// Bits of a bitmap, which are few.
fn put_bits(tables: &mut MemoryTables, table: Table, first: u32, words: &[u64]) {
    for (index, &word) in (first..).zip(words).filter(|&(_, &word)| word != 0) {
        put(tables, table, index, &[word]);
    }
}

fn put<T: Plain + Clone>(tables: &mut MemoryTables, table: Table, first: u32, values: &[T]) {
    for (index, value) in (first..).zip(values) {
        tables.entry_mut::<T>(table, index).unwrap().clone_from(value);
    }
}

fn naive<P: Copy>(rules: &[Rule<P>], source: IpAddr) -> Option<(u8, bool)>
where
    IpNet: From<P>,
{
    let matching = rules.iter().filter(|rule| IpNet::from(rule.prefix).contains(&source));
    matching.map(|rule| (IpNet::from(rule.prefix).prefix_len(), rule.deny)).max()
}

fn found4(tables: &MemoryTables, source: Ipv4Addr) -> Option<(u8, bool)> {
    longest4(address4(source)[0], tables)
        .map(|found| (found.word.bits() as u8, found.word.denies()))
}

fn found6(tables: &MemoryTables, source: Ipv6Addr) -> Option<(u8, bool)> {
    longest6(&address6(source), tables).map(|found| (found.word.bits() as u8, found.word.denies()))
}

fn rules<P: Ord>(prefixes: impl IntoIterator<Item = (P, bool)>) -> Vec<Rule<P>> {
    let unique: std::collections::BTreeMap<P, bool> = prefixes.into_iter().collect();
    unique.into_iter().map(|(prefix, deny)| Rule { prefix, deny }).collect()
}

fn net4(address: u32, bits: u8) -> Ipv4Net {
    Ipv4Net::new(Ipv4Addr::from(address), bits).unwrap().trunc()
}

fn net6(address: u128, bits: u8) -> Ipv6Net {
    Ipv6Net::new(Ipv6Addr::from(address), bits).unwrap().trunc()
}

#[test]
fn nothing_matches_in_an_empty_set() {
    let tables = tables(&[], &[]);
    assert_eq!(found4(&tables, Ipv4Addr::LOCALHOST), None);
    assert_eq!(found6(&tables, Ipv6Addr::LOCALHOST), None);
}

#[test]
fn the_shortest_prefix_covers_everything() {
    let v4 = rules([(net4(0, 0), true), (net4(0x0a00_0000, 8), false)]);
    let v6 = rules([(net6(0, 0), true), (net6(1, 128), false)]);
    let tables = tables(&v4, &v6);
    assert_eq!(found4(&tables, Ipv4Addr::new(10, 1, 2, 3)), Some((8, false)));
    assert_eq!(found4(&tables, Ipv4Addr::new(255, 255, 255, 255)), Some((0, true)));
    assert_eq!(found6(&tables, Ipv6Addr::LOCALHOST), Some((128, false)));
    assert_eq!(found6(&tables, Ipv6Addr::from(u128::MAX)), Some((0, true)));
}

#[test]
fn a_prefix_listed_again_counts_once_and_a_contradiction_is_named() {
    let prefix = net4(0x0a00_0000, 8);
    let rule = |deny| Rule { prefix, deny };
    assert_eq!(Half4::new(&[rule(true), rule(true)]).unwrap().prefixes, 1);
    let contradiction = Half4::new(&[rule(true), rule(false)]).err();
    assert_eq!(contradiction, Some(Misfit::Twice(prefix.into())));
    let prefix = net6(1, 128);
    let contradiction =
        Half6::new(&[Rule { prefix, deny: true }, Rule { prefix, deny: false }]).err();
    assert_eq!(contradiction, Some(Misfit::Twice(prefix.into())));
}

#[test]
fn bits_are_set_from_the_first_to_the_last() {
    let mut words = [0; 4];
    set_bits(&mut words, 63, 64);
    assert_eq!(words, [1 << 63, 1, 0, 0]);
    set_bits(&mut words, 70, 255);
    assert_eq!(words, [1 << 63, u64::MAX << 6 | 1, u64::MAX, u64::MAX]);
    let mut words = [0; 1];
    set_bits(&mut words, 5, 5);
    assert_eq!(words, [1 << 5]);
}

/// Addresses that share long prefixes, so that prefixes of all lengths meet.
fn near4() -> impl Strategy<Value = u32> {
    (0_u32..4, 0_u32..4, 0_u32..4, 0_u32..8).prop_map(|(a, b, c, d)| a << 30 | b << 14 | c << 8 | d)
}

fn near6() -> impl Strategy<Value = u128> {
    (0_u128..4, 0_u128..3, 0_u128..3, 0_u128..4)
        .prop_map(|(a, b, c, d)| 0x2001 << 112 | a << 94 | b << 80 | c << 64 | d)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_longest_ipv4_match_decides(
        prefixes in prop::collection::vec((near4(), 0_u8..=32, any::<bool>()), 0..60),
        sources in prop::collection::vec(near4(), 100),
    ) {
        let rules = rules(prefixes.into_iter().map(|(address, bits, deny)| (net4(address, bits), deny)));
        let tables = tables(&rules, &[]);
        for source in sources.into_iter().map(Ipv4Addr::from) {
            prop_assert_eq!(found4(&tables, source), naive(&rules, source.into()));
        }
    }

    #[test]
    fn the_longest_ipv6_match_decides(
        prefixes in prop::collection::vec((near6(), 0_u8..=128, any::<bool>()), 0..60),
        sources in prop::collection::vec(near6(), 100),
    ) {
        let rules = rules(prefixes.into_iter().map(|(address, bits, deny)| (net6(address, bits), deny)));
        let tables = tables(&[], &rules);
        for source in sources.into_iter().map(Ipv6Addr::from) {
            prop_assert_eq!(found6(&tables, source), naive(&rules, source.into()));
        }
    }
}
