//! A small builder of prefilter tables: enough for tests, with none of the planner's care for size.

use crate::{
    abi::{
        Address, PREFILTER_PROBES, PREFILTER4_BITMAP_WORDS, PREFILTER6_BITMAP_WORDS,
        PREFILTER6_UNIT, PrefilterEntry4, PrefilterEntry6, PrefilterHeader4, PrefilterHeader6,
        PrefilterLine4, PrefilterLine6, PrefilterWord, Shared64, Table, address4, address6,
    },
    hash,
    native::MemoryTables,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A prefix and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// Any address in it.
    pub address: IpAddr,
    /// Its length.
    pub bits: u32,
    /// Whether its sources are denied.
    pub deny: bool,
}

impl Prefix {
    /// Whether an address is in it.
    pub fn covers(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()) & mask4(self.bits) == 0,
            (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()) & mask6(self.bits) == 0,
            _ => false,
        }
    }
}

fn mask4(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}

fn mask6(bits: u32) -> u128 {
    u128::MAX.checked_shl(128 - bits).unwrap_or(0)
}

/// Builds one half of the tables from distinct prefixes.
///
/// # Panics
/// If the tables are too small.
pub fn fill_prefilter(tables: &mut MemoryTables, half: u32, prefixes: &[Prefix]) {
    let lengths = |ipv6: bool| {
        let mut bits: Vec<u32> =
            prefixes.iter().filter(|p| p.address.is_ipv6() == ipv6).map(|p| p.bits).collect();
        bits.sort_unstable_by(|a, b| b.cmp(a));
        bits.dedup();
        bits
    };
    header4(tables, half, &lengths(false));
    header6(tables, half, &lengths(true));
    for prefix in prefixes {
        let word = PrefilterWord::new(prefix.bits, prefix.deny);
        match prefix.address {
            IpAddr::V4(ip) => add4(tables, half, ip, word),
            IpAddr::V6(ip) => add6(tables, half, ip, word),
        }
    }
}

fn header4(tables: &mut MemoryTables, half: u32, lengths: &[u32]) {
    let mask = tables.settings.prefilter4_half.saturating_sub(1);
    let Some(header) = tables.entry_mut::<PrefilterHeader4>(Table::Prefilter4Header, half) else {
        panic!("no header {half}")
    };
    (header.mask, header.lengths) = (mask, lengths.len() as u32);
    for (i, &bits) in lengths.iter().enumerate() {
        header.bits[i] = bits;
        header.masks[i] = mask4(bits).to_be();
    }
}

fn header6(tables: &mut MemoryTables, half: u32, lengths: &[u32]) {
    let mask = tables.settings.prefilter6_half.saturating_sub(1);
    let Some(header) = tables.entry_mut::<PrefilterHeader6>(Table::Prefilter6Header, half) else {
        panic!("no header {half}")
    };
    (header.mask, header.lengths) = (mask, lengths.len() as u32);
    header.units =
        lengths.iter().filter(|bits| **bits >= u32::from(PREFILTER6_UNIT)).count() as u32;
    for (i, &bits) in lengths.iter().enumerate() {
        header.bits[i] = bits;
        header.masks[i] = address6(Ipv6Addr::from_bits(mask6(bits)));
    }
}

fn set_bit(tables: &MemoryTables, table: Table, base: u32, unit: u32) {
    match tables.entry::<Shared64>(table, base + (unit >> 6)) {
        Some(word) => word.set(word.get() | 1 << (unit & 63)),
        None => panic!("{} has no bit {unit}", table.name()),
    }
}

fn add4(tables: &mut MemoryTables, half: u32, ip: Ipv4Addr, word: PrefilterWord) {
    let network = Ipv4Addr::from_bits(ip.to_bits() & mask4(word.bits()));
    let last = network.to_bits() | !mask4(word.bits());
    let base = half * PREFILTER4_BITMAP_WORDS;
    for unit in network.to_bits() >> 8..=last >> 8 {
        set_bit(tables, Table::Prefilter4Bitmap, base, unit);
    }
    let address = address4(network)[0];
    let lines = tables.settings.prefilter4_half;
    let mut at = hash::prefix4(address, word.bits()) & (lines - 1);
    for _ in 0..PREFILTER_PROBES {
        let line = tables.entry_mut::<PrefilterLine4>(Table::Prefilter4Lines, half * lines + at);
        let Some(line) = line else { break };
        if let Some(free) = line.entries.iter_mut().find(|entry| entry.word.0 == 0) {
            *free = PrefilterEntry4 { address, word };
            return;
        }
        at = (at + 1) & (lines - 1);
    }
    panic!("no room for {network}/{}", word.bits());
}

fn add6(tables: &mut MemoryTables, half: u32, ip: Ipv6Addr, word: PrefilterWord) {
    let network = Ipv6Addr::from_bits(ip.to_bits() & mask6(word.bits()));
    let address: Address = address6(network);
    if word.bits() >= u32::from(PREFILTER6_UNIT) {
        let base = half * PREFILTER6_BITMAP_WORDS;
        set_bit(tables, Table::Prefilter6Bitmap, base, hash::unit6(&address));
    }
    let lines = tables.settings.prefilter6_half;
    let mut at = hash::prefix6(&address, word.bits()) & (lines - 1);
    for _ in 0..PREFILTER_PROBES {
        let line = tables.entry_mut::<PrefilterLine6>(Table::Prefilter6Lines, half * lines + at);
        let Some(line) = line else { break };
        if let Some(free) = line.entries.iter_mut().find(|entry| entry.word.0 == 0) {
            *free = PrefilterEntry6 { address, word };
            return;
        }
        at = (at + 1) & (lines - 1);
    }
    panic!("no room for {network}/{}", word.bits());
}
