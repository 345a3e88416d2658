//! A new set is built in the half that isn't active; one word switches to it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sluice_datapath::abi::{
    PREFILTER4_BITMAP_WORDS, PREFILTER6_BITMAP_WORDS, PrefilterControl, Shared32, Table,
};
use sluice_model::{Object, PrefilterSpec};

use super::{Half4, Half6, MIN_LINES, Misfit, Rule};
use crate::{Copy, Error, Run, Sizes, Write, draft::Draft};

/// What the tables hold of the prefilter.
#[derive(Clone, Debug, Default)]
pub struct Prefilters {
    /// What it was computed from. `None` if that is not known.
    objects: Option<Vec<Arc<Object>>>,
    v4: Family,
    v6: Family,
}

#[derive(Clone, Copy, Debug, Default)]
struct Family {
    /// The active half.
    active: u32,
    /// Lines of the active half in use.
    lines: u32,
    prefixes: usize,
    /// What the active half was built from. `None` if that is not known.
    fingerprint: Option<u64>,
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
        self.v4.prefixes
    }

    /// Different IPv6 prefixes.
    #[must_use]
    pub fn prefixes6(&self) -> usize {
        self.v6.prefixes
    }

    /// Makes the tables hold the prefixes of these objects. Returns what must be copied in tables that grow, because
    /// their second half begins elsewhere then.
    pub(crate) fn plan(
        &mut self,
        objects: Vec<(&Arc<Object>, &PrefilterSpec)>,
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
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (_, spec) in &objects {
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
        self.objects = Some(objects.into_iter().map(|(object, _)| Arc::clone(object)).collect());
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
        self.switch("IPv4", lines, half.prefixes, fingerprint, draft);
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
        self.switch("IPv6", lines, half.prefixes, fingerprint, draft);
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

    fn switch(
        &mut self,
        family: &str,
        lines: u32,
        prefixes: usize,
        fingerprint: u64,
        draft: &mut Draft,
    ) {
        let before = self.fingerprint.map(|_| self.prefixes);
        let before = before.map_or(String::new(), |before| format!(", were {before}"));
        draft.note("Prefilter", format!("{prefixes} {family} prefixes{before}"));
        let active = self.active ^ 1;
        *self = Self { active, lines, prefixes, fingerprint: Some(fingerprint) };
    }
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
