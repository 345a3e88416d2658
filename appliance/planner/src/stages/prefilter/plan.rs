//! A new set is built in the half that isn't active; one word switches to it. Few changes are made in the active half.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sluice_datapath::abi::{
    PREFILTER4_BITMAP_WORDS, PREFILTER6_BITMAP_WORDS, PrefilterControl, Shared32, Table,
};
use sluice_model::{Object, PrefilterSpec};

use super::{
    Half4, Half6, MIN_LINES, Misfit, PrefilterWords, Rule,
    change::{self, Changes},
    in_place::{self, Active, Changed, Layout},
};

use crate::{Copy, Error, Run, Sizes, Write, draft::Draft};

/// So many changes are few, whatever there is.
const FEW: usize = 256;
/// So many bits of a bitmap may be set in vain, whatever there is: one in a thousand.
const SPARE_BITS: u64 = 1 << 14;

/// What the tables hold of the prefilter.
#[derive(Clone, Debug, Default)]
pub struct Prefilters {
    /// What it was computed from. `None` if that is not known.
    objects: Option<Vec<Arc<Object>>>,
    v4: Family,
    v6: Family,
}

#[derive(Clone, Debug, Default)]
struct Family {
    /// The active half.
    active: u32,
    /// Lines of the active half in use.
    lines: u32,
    /// Different prefixes. `None` if that is not known.
    prefixes: Option<usize>,
    /// The lengths of prefixes that are searched.
    lengths: Lengths,
    /// What the active half was built from, if it was not changed since.
    fingerprint: Option<u64>,
    /// Bits of the bitmap that no prefix may need any more.
    spare_bits: u64,
}

impl Prefilters {
    /// Those of a running datapath: of IPv4 and IPv6 the active half and how many of its lines are in use.
    #[must_use]
    pub fn of(v4: (u32, u32), v6: (u32, u32)) -> Self {
        let family = |(active, lines)| Family { active: active & 1, lines, ..Family::default() };
        Self { objects: None, v4: family(v4), v6: family(v6) }
    }

    /// Different IPv4 prefixes.
    #[must_use]
    pub fn prefixes4(&self) -> usize {
        self.v4.prefixes.unwrap_or(0)
    }

    /// Different IPv6 prefixes.
    #[must_use]
    pub fn prefixes6(&self) -> usize {
        self.v6.prefixes.unwrap_or(0)
    }

    /// Makes the tables hold the prefixes of these objects. Returns what must be copied in tables that grow, because
    /// their second half begins elsewhere then.
    pub(crate) fn plan(
        &mut self,
        objects: Vec<(&Arc<Object>, &PrefilterSpec)>,
        words: PrefilterWords,
        sizes: &mut Sizes,
        draft: &mut Draft,
    ) -> Result<Vec<Copy>, Error> {
        let same = |known: &Vec<Arc<Object>>| {
            known.len() == objects.len()
                && known.iter().zip(&objects).all(|(a, (b, _))| Arc::ptr_eq(a, b))
        };
        if self.objects.as_ref().is_some_and(same) {
            return Ok(Vec::new());
        }
        let copies = match self.change_in_place(&objects, words, sizes) {
            Some([(v4, writes4), (v6, writes6)]) => {
                if !writes4.is_empty() {
                    note("IPv4", self.v4.prefixes, v4.prefixes, draft);
                }
                if !writes6.is_empty() {
                    note("IPv6", self.v6.prefixes, v6.prefixes, draft);
                }
                draft.prefilter.extend(writes4);
                draft.prefilter.extend(writes6);
                (self.v4, self.v6) = (v4, v6);
                Vec::new()
            }
            None => self.build(&objects, sizes, draft)?,
        };
        self.objects = Some(objects.into_iter().map(|(object, _)| Arc::clone(object)).collect());
        Ok(copies)
    }

    /// What the tables of both families hold after single changes, and the writes of these. `None` where the tables are built anew.
    fn change_in_place(
        &self,
        objects: &[(&Arc<Object>, &PrefilterSpec)],
        words: PrefilterWords,
        sizes: &Sizes,
    ) -> Option<[(Family, Vec<Write>); 2]> {
        let (changes4, changes6) = change::between(self.objects.as_ref()?, objects)?;
        let active = |family: &Family, table: Table, line_words, bitmap_words| Active {
            half: family.active,
            lines: family.lines,
            first_line: family.active * (sizes.get(table) / 2),
            line_words,
            bitmap_words,
        };
        let active4 = active(&self.v4, Table::Prefilter4Lines, words.lines4, words.bitmap4);
        let active6 = active(&self.v6, Table::Prefilter6Lines, words.lines6, words.bitmap6);
        let (mut v4, mut v6) = (self.v4.clone(), self.v6.clone());
        let writes4 = v4.change(&changes4, active4, Half4::size)?;
        let writes6 = v6.change(&changes6, active6, Half6::size)?;
        Some([(v4, writes4), (v6, writes6)])
    }

    /// Builds the halves of what changed anew.
    fn build(
        &mut self,
        objects: &[(&Arc<Object>, &PrefilterSpec)],
        sizes: &mut Sizes,
        draft: &mut Draft,
    ) -> Result<Vec<Copy>, Error> {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (_, spec) in objects {
            let denied = spec.deny.iter().map(|prefix| (prefix, true));
            for (prefix, deny) in denied.chain(spec.allow.iter().map(|prefix| (prefix, false))) {
                match prefix.net() {
                    IpNet::V4(prefix) => v4.push(Rule { prefix: prefix.trunc(), deny }),
                    IpNet::V6(prefix) => v6.push(Rule { prefix: prefix.trunc(), deny }),
                }
            }
        }
        let before = (self.v4.active, self.v6.active);
        let mut copies = Vec::new();
        copies.extend(self.v4.plan4(&v4, sizes, draft)?);
        copies.extend(self.v6.plan6(&v6, sizes, draft)?);
        if before != (self.v4.active, self.v6.active) {
            let control = PrefilterControl {
                active4: Shared32::new(self.v4.active),
                active6: Shared32::new(self.v6.active),
            };
            draft.prefilter.push(Write::PrefilterControl(Run::one(0, control)));
        }
        Ok(copies)
    }
}

impl Family {
    fn plan4(
        &mut self,
        rules: &[Rule<Ipv4Net>],
        sizes: &mut Sizes,
        draft: &mut Draft,
    ) -> Result<Option<Copy>, Error> {
        let fingerprint = fingerprint(rules);
        if self.is(fingerprint, rules.len()) {
            return Ok(None);
        }
        let half = Half4::new(rules).map_err(error)?;
        let old_half = sizes.get(Table::Prefilter4Lines) / 2;
        sizes.need_prefilter4(half.lines.len() as u32);
        let new_half = sizes.get(Table::Prefilter4Lines) / 2;
        let copy = self.moved(Table::Prefilter4Lines, old_half, new_half);
        let target = self.active ^ 1;
        draft.prefilter.extend([
            Write::Prefilter4Header(Run::one(target, half.header)),
            Write::Prefilter4Bitmap(Run {
                first: target * PREFILTER4_BITMAP_WORDS,
                values: half.bitmap,
            }),
        ]);
        let lines = half.lines.len() as u32;
        let run = Run { first: target * new_half, values: half.lines };
        draft.prefilter.push(Write::Prefilter4Lines(run));
        let lengths = rules.iter().map(|rule| rule.prefix.prefix_len()).collect();
        self.switch("IPv4", Built { lines, prefixes: half.prefixes, lengths, fingerprint }, draft);
        Ok(copy)
    }

    fn plan6(
        &mut self,
        rules: &[Rule<Ipv6Net>],
        sizes: &mut Sizes,
        draft: &mut Draft,
    ) -> Result<Option<Copy>, Error> {
        let fingerprint = fingerprint(rules);
        if self.is(fingerprint, rules.len()) {
            return Ok(None);
        }
        let half = Half6::new(rules).map_err(error)?;
        let old_half = sizes.get(Table::Prefilter6Lines) / 2;
        sizes.need_prefilter6(half.lines.len() as u32);
        let new_half = sizes.get(Table::Prefilter6Lines) / 2;
        let copy = self.moved(Table::Prefilter6Lines, old_half, new_half);
        let target = self.active ^ 1;
        draft.prefilter.extend([
            Write::Prefilter6Header(Run::one(target, half.header)),
            Write::Prefilter6Bitmap(Run {
                first: target * PREFILTER6_BITMAP_WORDS,
                values: half.bitmap,
            }),
        ]);
        let lines = half.lines.len() as u32;
        let run = Run { first: target * new_half, values: half.lines };
        draft.prefilter.push(Write::Prefilter6Lines(run));
        let lengths = rules.iter().map(|rule| rule.prefix.prefix_len()).collect();
        self.switch("IPv6", Built { lines, prefixes: half.prefixes, lengths, fingerprint }, draft);
        Ok(copy)
    }

    /// Whether the active half holds this set already; a half that was never written holds the empty set.
    fn is(&self, fingerprint: u64, rules: usize) -> bool {
        self.fingerprint == Some(fingerprint) || (rules == 0 && self.lines == 0)
    }

    fn moved(&self, table: Table, old_half: u32, new_half: u32) -> Option<Copy> {
        let must_move = self.active == 1 && self.lines > 0 && new_half > old_half;
        must_move.then_some(Copy { table, from: old_half, to: new_half, entries: self.lines })
    }

    fn switch(&mut self, family: &str, built: Built, draft: &mut Draft) {
        let Built { lines, prefixes, lengths, fingerprint } = built;
        note(family, self.prefixes, Some(prefixes), draft);
        *self = Self {
            active: self.active ^ 1,
            lines,
            prefixes: Some(prefixes),
            lengths,
            fingerprint: Some(fingerprint),
            spare_bits: 0,
        };
    }

    /// Takes single changes in; `None` where the half must be built anew. `size`: how many lines it would have then.
    fn change<P: Layout>(
        &mut self,
        changes: &Changes<P>,
        active: Active,
        size: fn(usize) -> usize,
    ) -> Option<Vec<Write>> {
        if changes.len() == 0 {
            return Some(Vec::new());
        }
        let before = self.prefixes.filter(|&prefixes| prefixes > 0)?;
        let prefixes = (before + changes.added.len()).checked_sub(changes.removed.len())?;
        let (lines, fits) = (self.lines as usize, size(prefixes));
        let is_searched = |(prefix, _): &(P, bool)| self.lengths.has(prefix.length());
        // Half of what a change may make it too large for is left before it shrinks.
        let is_good = prefixes > 0 && fits <= lines && fits * 8 > lines;
        let is_few = changes.len() <= FEW.max(before / 4);
        if !is_good
            || !is_few
            || !changes.added.iter().all(is_searched)
            || in_place::is_torn(changes)
        {
            return None;
        }
        let Changed { writes, spare_bits } = in_place::change(changes, active)?;
        self.spare_bits += spare_bits;
        if self.spare_bits > SPARE_BITS.max(before as u64 / 8) {
            return None;
        }
        (self.prefixes, self.fingerprint) = (Some(prefixes), None);
        Some(writes)
    }
}

/// What a half was built of.
struct Built {
    lines: u32,
    prefixes: usize,
    lengths: Lengths,
    fingerprint: u64,
}

/// Which lengths of prefixes are searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths([u64; 3]);

impl Lengths {
    fn has(self, length: u32) -> bool {
        self.0[length as usize / 64] >> (length % 64) & 1 != 0
    }
}

impl FromIterator<u8> for Lengths {
    fn from_iter<I: IntoIterator<Item = u8>>(all: I) -> Self {
        let mut lengths = Self::default();
        all.into_iter()
            .for_each(|length| lengths.0[usize::from(length / 64)] |= 1 << (length % 64));
        lengths
    }
}

fn note(family: &str, before: Option<usize>, now: Option<usize>, draft: &mut Draft) {
    let before = before.map_or(String::new(), |before| format!(", were {before}"));
    draft.note("Prefilter", format!("{} {family} prefixes{before}", now.unwrap_or(0)));
}

/// Tells sets of rules in the same order apart.
fn fingerprint<P: Hash>(rules: &[Rule<P>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    rules.hash(&mut hasher);
    hasher.finish()
}

fn error(misfit: Misfit) -> Error {
    match misfit {
        Misfit::Twice(prefix) => Error::PrefixTwice { prefix },
        Misfit::NoPlace(prefix) => Error::PrefixesCollide { prefix },
    }
}

const _: () = assert!(MIN_LINES.is_power_of_two());
