//! Single prefixes come and go in the half that is active, while packets are looked up in it.
//!
//! At every moment each source meets what the old set or what the new set says of it (a change whose prefixes lie in each
//! other is not made so, see [`is_torn`]):
//! - an entry becomes what it is by one word (of IPv6 the last of its words; until then it is free);
//! - longer prefixes come before shorter ones and go after them, and all that come before all that go;
//! - what goes leaves a free entry, in the last place of a line a *removed* one: a free one there would end the search of
//!   prefixes in the lines behind.
//!
//! Bits of the bitmap are set, never cleared: one too many costs a search in vain. The table is built anew in the other
//! half when these are many, when a prefix finds no place, or when its length is not among those that are searched.

use std::collections::{BTreeMap, HashMap};

use ipnet::{Ipv4Net, Ipv6Net};
use sluice_datapath::{
    abi::{
        PREFILTER_PROBES, PREFILTER_WAYS4, PREFILTER_WAYS6, PREFILTER4_BITMAP_WORDS,
        PREFILTER6_BITMAP_WORDS, PREFILTER6_UNIT, PrefilterEntry4, PrefilterEntry6, PrefilterLine4,
        PrefilterLine6, PrefilterWord, Shared64, address4, address6,
    },
    hash,
};

use super::change::Changes;
use crate::{Run, Write};

/// The tables of the prefilter as they are in the kernel now.
#[derive(Clone, Copy)]
pub struct PrefilterWords<'a> {
    /// The words of `PF4_LINES`.
    pub lines4: &'a [Shared64],
    /// The words of `PF4_BITMAP`.
    pub bitmap4: &'a [Shared64],
    /// The words of `PF6_LINES`.
    pub lines6: &'a [Shared64],
    /// The words of `PF6_BITMAP`.
    pub bitmap6: &'a [Shared64],
}

impl PrefilterWords<'_> {
    /// Nothing is in the kernel yet.
    pub const NONE: Self = Self { lines4: &[], bitmap4: &[], lines6: &[], bitmap6: &[] };
}

/// How prefixes of a family stand in its tables.
pub(super) trait Layout: Copy + Ord {
    type Line: Copy;
    const WAYS: usize;
    const BITMAP_WORDS: u32;

    fn read(words: &[Shared64; 8]) -> Self::Line;
    /// Whether the other prefix lies in this one.
    fn covers(self, other: Self) -> bool;
    fn length(self) -> u32;
    /// Its home position.
    fn home(self) -> u32;
    fn word(line: &Self::Line, way: usize) -> PrefilterWord;
    fn set_word(line: &mut Self::Line, way: usize, word: PrefilterWord);
    /// Whether this is the prefix of an entry that is in use.
    fn is_at(self, line: &Self::Line, way: usize) -> bool;
    fn put(self, line: &mut Self::Line, way: usize, word: PrefilterWord);
    /// Frees an entry.
    fn clear(line: &mut Self::Line, way: usize, word: PrefilterWord);
    /// Its bits in the bitmap, first and last.
    fn units(self) -> Option<(u32, u32)>;
    fn write_lines(run: Run<Self::Line>) -> Write;
    fn write_bitmap(run: Run<u64>) -> Write;
}

impl Layout for Ipv4Net {
    type Line = PrefilterLine4;
    const WAYS: usize = PREFILTER_WAYS4;
    const BITMAP_WORDS: u32 = PREFILTER4_BITMAP_WORDS;

    fn read(words: &[Shared64; 8]) -> PrefilterLine4 {
        let entries = words.each_ref().map(|word| {
            let word = word.get();
            PrefilterEntry4 { address: word as u32, word: PrefilterWord((word >> 32) as u32) }
        });
        PrefilterLine4 { entries }
    }

    fn covers(self, other: Self) -> bool {
        self.contains(&other)
    }

    fn length(self) -> u32 {
        self.prefix_len().into()
    }

    fn home(self) -> u32 {
        hash::prefix4(address4(self.network())[0], self.length())
    }

    fn word(line: &PrefilterLine4, way: usize) -> PrefilterWord {
        line.entries[way].word
    }

    fn set_word(line: &mut PrefilterLine4, way: usize, word: PrefilterWord) {
        line.entries[way].word = word;
    }

    fn is_at(self, line: &PrefilterLine4, way: usize) -> bool {
        let entry = &line.entries[way];
        entry.word.is_of(self.length()) && entry.address == address4(self.network())[0]
    }

    fn put(self, line: &mut PrefilterLine4, way: usize, word: PrefilterWord) {
        line.entries[way] = PrefilterEntry4 { address: address4(self.network())[0], word };
    }

    /// The address goes, too: who read it before its place is given to another prefix must not take that one's word for
    /// this one's.
    fn clear(line: &mut PrefilterLine4, way: usize, word: PrefilterWord) {
        line.entries[way] = PrefilterEntry4 { address: 0, word };
    }

    fn units(self) -> Option<(u32, u32)> {
        Some((self.network().to_bits() >> 8, self.broadcast().to_bits() >> 8))
    }

    fn write_lines(run: Run<PrefilterLine4>) -> Write {
        Write::Prefilter4Lines(run)
    }

    fn write_bitmap(run: Run<u64>) -> Write {
        Write::Prefilter4Bitmap(run)
    }
}

impl Layout for Ipv6Net {
    type Line = PrefilterLine6;
    const WAYS: usize = PREFILTER_WAYS6;
    const BITMAP_WORDS: u32 = PREFILTER6_BITMAP_WORDS;

    fn read(words: &[Shared64; 8]) -> PrefilterLine6 {
        // Little-endian, as the datapath's target.
        let half = |index: usize| (words[index / 2].get() >> (index % 2 * 32)) as u32;
        let entry = |way: usize| PrefilterEntry6 {
            address: std::array::from_fn(|i| half(way * 5 + i)),
            word: PrefilterWord(half(way * 5 + 4)),
        };
        PrefilterLine6 { entries: std::array::from_fn(entry), reserved: 0 }
    }

    fn covers(self, other: Self) -> bool {
        self.contains(&other)
    }

    fn length(self) -> u32 {
        self.prefix_len().into()
    }

    fn home(self) -> u32 {
        hash::prefix6(&address6(self.network()), self.length())
    }

    fn word(line: &PrefilterLine6, way: usize) -> PrefilterWord {
        line.entries[way].word
    }

    fn set_word(line: &mut PrefilterLine6, way: usize, word: PrefilterWord) {
        line.entries[way].word = word;
    }

    fn is_at(self, line: &PrefilterLine6, way: usize) -> bool {
        let entry = &line.entries[way];
        entry.word.is_of(self.length()) && entry.address == address6(self.network())
    }

    fn put(self, line: &mut PrefilterLine6, way: usize, word: PrefilterWord) {
        line.entries[way] = PrefilterEntry6 { address: address6(self.network()), word };
    }

    fn clear(line: &mut PrefilterLine6, way: usize, word: PrefilterWord) {
        line.entries[way].word = word;
    }

    fn units(self) -> Option<(u32, u32)> {
        let unit = hash::unit6(&address6(self.network()));
        (self.prefix_len() >= PREFILTER6_UNIT).then_some((unit, unit))
    }

    fn write_lines(run: Run<PrefilterLine6>) -> Write {
        Write::Prefilter6Lines(run)
    }

    fn write_bitmap(run: Run<u64>) -> Write {
        Write::Prefilter6Bitmap(run)
    }
}

/// The active half of a family's tables.
#[derive(Clone, Copy)]
pub(super) struct Active<'a> {
    /// 0 or 1.
    pub(super) half: u32,
    /// Lines of it that are in use: a power of two.
    pub(super) lines: u32,
    /// Its first line.
    pub(super) first_line: u32,
    pub(super) line_words: &'a [Shared64],
    pub(super) bitmap_words: &'a [Shared64],
}

/// What was changed in place.
pub(super) struct Changed {
    /// In this order.
    pub(super) writes: Vec<Write>,
    /// Bits of the bitmap that nothing may need any more.
    pub(super) spare_bits: u64,
}

/// Makes changes in place; `None` where that can't be done, because a prefix has no place, is there already, or is not
/// there.
pub(super) fn change<P: Layout>(changes: &Changes<P>, active: Active) -> Option<Changed> {
    let mut editing =
        Editing::<P> { active, lines: HashMap::new(), bits: BTreeMap::new(), writes: Vec::new() };
    let mut added = changes.added.clone();
    added.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.length()));
    for (prefix, deny) in added {
        editing.add(prefix, PrefilterWord::new(prefix.length(), deny))?;
    }
    for &(prefix, deny) in &changes.turned {
        let (line, way) = editing.find(prefix)?;
        editing.edit(line, |line| {
            P::set_word(line, way, PrefilterWord::new(prefix.length(), deny));
        })?;
    }
    let mut removed = changes.removed.clone();
    removed.sort_by_key(|prefix| prefix.length());
    let mut spare_bits = 0;
    for prefix in removed {
        let (line, way) = editing.find(prefix)?;
        let is_last = way == P::WAYS - 1;
        let word = if is_last { PrefilterWord::REMOVED } else { PrefilterWord::default() };
        editing.edit(line, |line| P::clear(line, way, word))?;
        spare_bits += prefix.units().map_or(0, |(first, last)| u64::from(last - first) + 1);
    }
    Some(Changed { writes: editing.writes, spare_bits })
}

/// Whether an added prefix lies in another one that changes. A packet is looked up length by length: it may look for the
/// added one before that is there, and for the other after that is gone, and find neither.
pub(super) fn is_torn<P: Layout>(changes: &Changes<P>) -> bool {
    let added = changes.added.iter().map(|(prefix, _)| (*prefix, true));
    let turned = changes.turned.iter().map(|(prefix, _)| (*prefix, false));
    let removed = changes.removed.iter().map(|prefix| (*prefix, false));
    let mut all: Vec<_> = added.chain(turned).chain(removed).collect();
    // A prefix comes right before those that lie in it.
    all.sort_unstable();
    let mut outer: Option<P> = None;
    for (prefix, is_new) in all {
        match outer {
            Some(wide) if wide.covers(prefix) => {
                if is_new {
                    return true;
                }
            }
            _ => outer = Some(prefix),
        }
    }
    false
}

struct Editing<'a, P: Layout> {
    active: Active<'a>,
    /// Lines as they are after the writes so far.
    lines: HashMap<u32, P::Line>,
    /// Words of the bitmap as they are after the writes so far.
    bits: BTreeMap<u32, u64>,
    writes: Vec<Write>,
}

impl<P: Layout> Editing<'_, P> {
    fn line(&self, index: u32) -> Option<P::Line> {
        if let Some(line) = self.lines.get(&index) {
            return Some(*line);
        }
        let first = (self.active.first_line + index) as usize * 8;
        let words = self.active.line_words.get(first..first + 8)?;
        words.try_into().ok().map(P::read)
    }

    fn edit(&mut self, index: u32, change: impl FnOnce(&mut P::Line)) -> Option<()> {
        let mut line = self.line(index)?;
        change(&mut line);
        self.lines.insert(index, line);
        self.writes.push(P::write_lines(Run::one(self.active.first_line + index, line)));
        Some(())
    }

    /// The lines in which a prefix may be, in the order of the search.
    fn places(&self, prefix: P) -> impl Iterator<Item = u32> + use<P> {
        let (home, mask) = (prefix.home(), self.active.lines - 1);
        (0..PREFILTER_PROBES).map(move |step| home.wrapping_add(step) & mask)
    }

    fn find(&self, prefix: P) -> Option<(u32, usize)> {
        for index in self.places(prefix) {
            let line = self.line(index)?;
            if let Some(way) = (0..P::WAYS).find(|&way| prefix.is_at(&line, way)) {
                return Some((index, way));
            }
            if P::word(&line, P::WAYS - 1).0 == 0 {
                break;
            }
        }
        None
    }

    fn add(&mut self, prefix: P, word: PrefilterWord) -> Option<()> {
        if self.find(prefix).is_some() {
            return None;
        }
        for index in self.places(prefix) {
            let line = self.line(index)?;
            let is_free = |way: &usize| {
                let word = P::word(&line, *way);
                word.0 == 0 || word == PrefilterWord::REMOVED
            };
            if let Some(way) = (0..P::WAYS).find(is_free) {
                self.edit(index, |line| prefix.put(line, way, word))?;
                return self.mark(prefix);
            }
        }
        None
    }

    /// Sets the bits of a prefix.
    fn mark(&mut self, prefix: P) -> Option<()> {
        let Some((first, last)) = prefix.units() else { return Some(()) };
        let base = self.active.half * P::BITMAP_WORDS;
        let (first_word, last_word) = (first / 64, last / 64);
        let mut words = Vec::with_capacity((last_word - first_word) as usize + 1);
        for word in first_word..=last_word {
            let now = self.active.bitmap_words.get((base + word) as usize)?.get();
            words.push(self.bits.get(&word).copied().unwrap_or(now));
        }
        let before = words.clone();
        super::set_bits(&mut words, first - first_word * 64, last - first_word * 64);
        if words != before {
            self.bits.extend((first_word..).zip(words.iter().copied()));
            let run = Run { first: base + first_word, values: words };
            self.writes.push(P::write_bitmap(run));
        }
        Some(())
    }
}
