use ipnet::Ipv4Net;
use sluice_datapath::{
    abi::{
        PREFILTER_MASKS4, PREFILTER_PROBES, PREFILTER_WAYS4, PREFILTER4_BITMAP_WORDS,
        PrefilterEntry4, PrefilterHeader4, PrefilterLine4, PrefilterWord, address4,
    },
    hash,
};

use super::{MAX_LINES, MIN_LINES, Misfit, Rule};

/// Prefixes per line that a table is made for: half of the entries of a line, so that most lookups read one line.
const PREFIXES_PER_LINE: usize = PREFILTER_WAYS4 / 2;

/// One half of the IPv4 prefilter tables.
pub struct Half4 {
    /// How to search it.
    pub header: PrefilterHeader4,
    /// The first level.
    pub bitmap: Vec<u64>,
    /// The second level.
    pub lines: Vec<PrefilterLine4>,
    /// Different prefixes.
    pub prefixes: usize,
}

impl Half4 {
    /// Lines of a half with so many prefixes, if each finds its place.
    pub(super) fn size(prefixes: usize) -> usize {
        (prefixes / PREFIXES_PER_LINE).next_power_of_two().max(MIN_LINES)
    }

    /// Builds one half from prefixes without host bits.
    ///
    /// # Errors
    /// A prefix that is denied and allowed, or that has no place.
    pub fn new(rules: &[Rule<Ipv4Net>]) -> Result<Self, Misfit> {
        let mut size = Self::size(rules.len());
        loop {
            let mut table = Table { lines: vec![PrefilterLine4::default(); size], prefixes: 0 };
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
    lines: Vec<PrefilterLine4>,
    prefixes: usize,
}

impl Table {
    fn insert(&mut self, rule: &Rule<Ipv4Net>) -> Result<(), Misfit> {
        let bits = u32::from(rule.prefix.prefix_len());
        let address = address4(rule.prefix.network())[0];
        let new = PrefilterEntry4 { address, word: PrefilterWord::new(bits, rule.deny) };
        let mask = self.lines.len() as u32 - 1;
        let home = hash::prefix4(address, bits);
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

fn header(rules: &[Rule<Ipv4Net>], lines: usize) -> PrefilterHeader4 {
    let mut used = [false; PREFILTER_MASKS4];
    for rule in rules {
        used[usize::from(rule.prefix.prefix_len())] = true;
    }
    let mut header = PrefilterHeader4 { mask: lines as u32 - 1, ..Default::default() };
    let lengths = (0..PREFILTER_MASKS4 as u32).rev().filter(|&bits| used[bits as usize]);
    for (i, bits) in lengths.enumerate() {
        let host_order = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
        header.masks[i] = host_order.to_be();
        header.bits[i] = bits;
        header.lengths += 1;
    }
    header
}

/// A bit for each /24 that a prefix covers or lies in.
fn bitmap(rules: &[Rule<Ipv4Net>]) -> Vec<u64> {
    let mut words = vec![0; PREFILTER4_BITMAP_WORDS as usize];
    for rule in rules {
        let unit = |address: std::net::Ipv4Addr| address.to_bits() >> 8;
        let (first, last) = (unit(rule.prefix.network()), unit(rule.prefix.broadcast()));
        super::set_bits(&mut words, first, last);
    }
    words
}
