use ipnet::Ipv6Net;
use sluice_datapath::{
    abi::{
        PREFILTER_MASKS6, PREFILTER_PROBES, PREFILTER_WAYS6, PREFILTER6_BITMAP_WORDS,
        PREFILTER6_UNIT, PrefilterEntry6, PrefilterHeader6, PrefilterLine6, PrefilterWord,
        address6,
    },
    hash,
};
use std::net::Ipv6Addr;

use super::{MAX_LINES, MIN_LINES, Misfit, Rule};

/// A table is made for half of the entries of its lines, so that most lookups read one line.
const LINES_PER_PREFIX: (usize, usize) = (2, PREFILTER_WAYS6);

/// One half of the IPv6 prefilter tables.
pub struct Half6 {
    /// How to search it.
    pub header: PrefilterHeader6,
    /// The first level.
    pub bitmap: Vec<u64>,
    /// The second level.
    pub lines: Vec<PrefilterLine6>,
    /// Different prefixes.
    pub prefixes: usize,
}

impl Half6 {
    /// Lines of a half with so many prefixes, if each finds its place.
    pub(super) fn size(prefixes: usize) -> usize {
        (prefixes * LINES_PER_PREFIX.0 / LINES_PER_PREFIX.1).next_power_of_two().max(MIN_LINES)
    }

    /// Builds one half from prefixes without host bits.
    ///
    /// # Errors
    /// A prefix that is denied and allowed, or that has no place.
    pub fn new(rules: &[Rule<Ipv6Net>]) -> Result<Self, Misfit> {
        let mut size = Self::size(rules.len());
        loop {
            let mut table = Table { lines: vec![PrefilterLine6::default(); size], prefixes: 0 };
            match rules.iter().try_for_each(|rule| table.insert(rule)) {
                Ok(()) => {
                    return Ok(Self {
                        header: header(rules, size),
                        bitmap: bitmap(rules),
                        lines: table.lines,
                        prefixes: table.prefixes,
                    });
                }
                Err(Misfit::NoPlace(_)) if size < MAX_LINES => size *= 2,
                Err(misfit) => return Err(misfit),
            }
        }
    }
}

struct Table {
    lines: Vec<PrefilterLine6>,
    prefixes: usize,
}

impl Table {
    fn insert(&mut self, rule: &Rule<Ipv6Net>) -> Result<(), Misfit> {
        let bits = u32::from(rule.prefix.prefix_len());
        let address = address6(rule.prefix.network());
        let new = PrefilterEntry6 { address, word: PrefilterWord::new(bits, rule.deny) };
        let mask = self.lines.len() as u32 - 1;
        let home = hash::prefix6(&address, bits);
        for step in 0..PREFILTER_PROBES {
            let line = &mut self.lines[(home.wrapping_add(step) & mask) as usize];
            for entry in &mut line.entries {
                if entry.word.0 == 0 {
                    *entry = new;
                    self.prefixes += 1;
                    return Ok(());
                }
                if entry.address == address && entry.word.is_of(bits) {
                    let same = entry.word.denies() == rule.deny;
                    return if same { Ok(()) } else { Err(Misfit::Twice(rule.prefix.into())) };
                }
            }
        }
        Err(Misfit::NoPlace(rule.prefix.into()))
    }
}

fn header(rules: &[Rule<Ipv6Net>], lines: usize) -> PrefilterHeader6 {
    let mut used = [false; PREFILTER_MASKS6];
    for rule in rules {
        used[usize::from(rule.prefix.prefix_len())] = true;
    }
    let mut header = PrefilterHeader6 { mask: lines as u32 - 1, ..Default::default() };
    let lengths = (0..PREFILTER_MASKS6 as u32).rev().filter(|&bits| used[bits as usize]);
    for (i, bits) in lengths.enumerate() {
        let host_order = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
        header.masks[i] = address6(Ipv6Addr::from_bits(host_order));
        header.bits[i] = bits;
        header.lengths += 1;
        header.units += u32::from(bits >= u32::from(PREFILTER6_UNIT));
    }
    header
}

/// A bit for the hash of each /48 that a prefix of 48 bits or more lies in.
fn bitmap(rules: &[Rule<Ipv6Net>]) -> Vec<u64> {
    let mut words = vec![0; PREFILTER6_BITMAP_WORDS as usize];
    for rule in rules.iter().filter(|rule| rule.prefix.prefix_len() >= PREFILTER6_UNIT) {
        let unit = hash::unit6(&address6(rule.prefix.network()));
        super::set_bits(&mut words, unit, unit);
    }
    words
}
