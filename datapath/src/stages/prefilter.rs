//! Source prefixes, longest match; see [`crate::abi::PrefilterLine4`] for the tables.

use super::flow::same;
use crate::{
    Step, Tables,
    abi::{
        Address, PREFILTER_MASKS4, PREFILTER_MASKS6, PREFILTER_PROBES, PREFILTER_WAYS4,
        PREFILTER_WAYS6, PREFILTER4_BITMAP_WORDS, PREFILTER6_BITMAP_WORDS, PrefilterHit,
        PrefilterWord,
    },
    hash,
};

/// The longest prefix that covers an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// Its network address.
    pub address: Address,
    /// Its action and length.
    pub word: PrefilterWord,
}

/// Longest match of an IPv4 source.
#[inline(always)]
pub fn longest4<T: Tables>(source: u32, tables: &T) -> Option<Match> {
    let half = listed4(source, tables)?;
    search4(source, half, tables)
}

/// The active half, if its bitmap says that there may be a prefix for the source.
#[inline(always)]
fn listed4<T: Tables>(source: u32, tables: &T) -> Option<u32> {
    let half = tables.prefilter_control()?.active4.get() & 1;
    let unit = u32::from_be(source) >> 8;
    let bits = tables.prefilter4_bitmap(half * PREFILTER4_BITMAP_WORDS + (unit >> 6))?.get();
    (bits >> (unit & 63) & 1 != 0).then_some(half)
}

/// One step of a search per prefix length in use, longest first.
struct Search4 {
    source: u32,
    half: u32,
    found: u32,
    word: PrefilterWord,
}

impl Step for Search4 {
    #[inline(always)]
    fn step<T: Tables>(&mut self, tables: &T, index: u32) -> bool {
        self.probe(tables, index).unwrap_or(false)
    }
}

impl Search4 {
    /// Whether to go on with the next length.
    #[inline(always)]
    fn probe<T: Tables>(&mut self, tables: &T, index: u32) -> Option<bool> {
        let header = tables.prefilter4_header(self.half)?;
        if index >= header.lengths {
            return None;
        }
        let mask = *header.masks.get(index as usize)?;
        let (address, bits) = (self.source & mask, *header.bits.get(index as usize)?);
        let first = self.half * tables.settings().prefilter4_half;
        let mut home = hash::prefix4(address, bits) & header.mask;
        for _ in 0..PREFILTER_PROBES {
            let line = tables.prefilter4_line(first + home)?;
            for entry in &line.entries {
                if entry.address == address && entry.word.is_of(bits) {
                    self.found = address;
                    self.word = entry.word;
                    return None;
                }
            }
            if line.entries[PREFILTER_WAYS4 - 1].word.0 == 0 {
                break;
            }
            home = (home + 1) & header.mask;
        }
        Some(true)
    }
}

#[inline(always)]
fn search4<T: Tables>(source: u32, half: u32, tables: &T) -> Option<Match> {
    let mut search = Search4 { source, half, found: 0, word: PrefilterWord(0) };
    tables.repeat(PREFILTER_MASKS4 as u32, &mut search);
    (search.word.0 != 0).then_some(Match { address: [search.found, 0, 0, 0], word: search.word })
}

/// [`Search4`] for IPv6.
struct Search6 {
    source: Address,
    found: Address,
    half: u32,
    first_length: u32,
    word: PrefilterWord,
}

impl Step for Search6 {
    #[inline(always)]
    fn step<T: Tables>(&mut self, tables: &T, index: u32) -> bool {
        self.probe(tables, index).unwrap_or(false)
    }
}

impl Search6 {
    #[inline(always)]
    fn probe<T: Tables>(&mut self, tables: &T, index: u32) -> Option<bool> {
        let header = tables.prefilter6_header(self.half)?;
        let index = index.wrapping_add(self.first_length);
        if index >= header.lengths {
            return None;
        }
        let (mask, bits) = (header.masks.get(index as usize)?, *header.bits.get(index as usize)?);
        let s = &self.source;
        let address = [s[0] & mask[0], s[1] & mask[1], s[2] & mask[2], s[3] & mask[3]];
        let first = self.half * tables.settings().prefilter6_half;
        let mut home = hash::prefix6(&address, bits) & header.mask;
        for _ in 0..PREFILTER_PROBES {
            let line = tables.prefilter6_line(first + home)?;
            for entry in &line.entries {
                if entry.word.is_of(bits) && same::<true>(&entry.address, &address) {
                    self.found = address;
                    self.word = entry.word;
                    return None;
                }
            }
            if line.entries[PREFILTER_WAYS6 - 1].word.0 == 0 {
                break;
            }
            home = (home + 1) & header.mask;
        }
        Some(true)
    }
}

/// Longest match of an IPv6 source.
#[inline(always)]
pub fn longest6<T: Tables>(source: &Address, tables: &T) -> Option<Match> {
    let half = tables.prefilter_control()?.active6.get() & 1;
    let header = tables.prefilter6_header(half)?;
    let unit = hash::unit6(source);
    let bits = tables.prefilter6_bitmap(half * PREFILTER6_BITMAP_WORDS + (unit >> 6))?.get();
    let first_length = if bits >> (unit & 63) & 1 == 0 { header.units } else { 0 };
    if first_length >= header.lengths {
        return None;
    }
    let [a, b, c, d] = *source;
    let mut search =
        Search6 { source: [a, b, c, d], found: [0; 4], half, first_length, word: PrefilterWord(0) };
    tables.repeat(PREFILTER_MASKS6 as u32, &mut search);
    let Search6 { found: [a, b, c, d], word, .. } = search;
    (word.0 != 0).then_some(Match { address: [a, b, c, d], word })
}

/// Whether the source is denied; counts the prefix that decided.
#[inline(always)]
pub(crate) fn denies<const V6: bool, T: Tables>(source: &Address, tables: &T) -> bool {
    if V6 {
        // A copy, so that only this path has the address in memory.
        let [a, b, c, d] = *source;
        return decide6(tables, &[a, b, c, d]);
    }
    match listed4(source[0], tables) {
        Some(half) => decide4(tables, source[0], half),
        None => false,
    }
}

/// Not inlined: most packets end at the bitmap.
#[inline(never)]
fn decide4<T: Tables>(tables: &T, source: u32, half: u32) -> bool {
    let Some(found) = search4(source, half, tables) else { return false };
    hit::<false, T>(&found, tables);
    found.word.denies()
}

#[inline(never)]
fn decide6<T: Tables>(tables: &T, source: &Address) -> bool {
    let Some(found) = longest6(source, tables) else { return false };
    hit::<true, T>(&found, tables);
    found.word.denies()
}

/// One hit in the sketch of the prefixes that hit most (MV-Sketch: a vote for or against the candidate).
#[inline(always)]
fn hit<const V6: bool, T: Tables>(found: &Match, tables: &T) {
    let bits = found.word.bits();
    let slot = if V6 {
        hash::prefix6(&found.address, bits)
    } else {
        hash::prefix4(found.address[0], bits)
    };
    tables.with_prefilter_hit(slot & tables.settings().prefilter_hit_mask, |hit| {
        let family = if V6 { 6 } else { 4 };
        hit.hits += 1;
        if is_candidate::<V6>(hit, found, family) {
            hit.votes += 1;
        } else if hit.votes > 0 {
            hit.votes -= 1;
        } else {
            hit.address[0] = found.address[0];
            hit.address[1] = found.address[1];
            hit.address[2] = found.address[2];
            hit.address[3] = found.address[3];
            hit.word = found.word;
            hit.family = family;
            hit.votes = 1;
        }
    });
}

#[inline(always)]
fn is_candidate<const V6: bool>(hit: &PrefilterHit, found: &Match, family: u32) -> bool {
    hit.family == family && hit.word == found.word && same::<V6>(&hit.address, &found.address)
}
