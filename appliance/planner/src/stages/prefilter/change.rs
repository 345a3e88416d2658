//! What changed between two sets of prefilters: prefixes, not objects.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sluice_model::{Object, PrefilterSpec, Prefix};

/// More changes than this in one object, beside the part of it that stays, are not sorted out: the table is built anew.
const MOST: usize = 1 << 16;

/// Prefixes that are new, say something else, or are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changes<P> {
    /// With whether they deny.
    pub(super) added: Vec<(P, bool)>,
    /// With whether they deny now.
    pub(super) turned: Vec<(P, bool)>,
    pub(super) removed: Vec<P>,
}

impl<P> Default for Changes<P> {
    fn default() -> Self {
        Self { added: Vec::new(), turned: Vec::new(), removed: Vec::new() }
    }
}

impl<P> Changes<P> {
    pub(super) fn len(&self) -> usize {
        self.added.len() + self.turned.len() + self.removed.len()
    }
}

/// The changes of both families; `None` where they are many, or a prefix is listed twice.
pub(super) fn between(
    before: &[Arc<Object>],
    after: &[(&Arc<Object>, &PrefilterSpec)],
) -> Option<(Changes<Ipv4Net>, Changes<Ipv6Net>)> {
    let (mut was4, mut was6) = (HashMap::new(), HashMap::new());
    let (mut is4, mut is6) = (HashMap::new(), HashMap::new());
    let none = PrefilterSpec::default();
    let known: HashMap<_, _> = before.iter().map(|object| (object.name(), object)).collect();
    let mut kept = 0;
    let mut note = |before: &PrefilterSpec, after: &PrefilterSpec| {
        for (before, after, deny) in
            [(&before.deny, &after.deny, true), (&before.allow, &after.allow, false)]
        {
            let (before, after) = differing(before, after);
            if before.len() + after.len() > MOST {
                return None;
            }
            before.iter().try_for_each(|prefix| list(prefix, deny, &mut was4, &mut was6))?;
            after.iter().try_for_each(|prefix| list(prefix, deny, &mut is4, &mut is6))?;
        }
        Some(())
    };
    for (object, spec) in after {
        let old = known.get(object.name());
        kept += usize::from(old.is_some());
        match old {
            Some(old) if Arc::ptr_eq(old, object) => {}
            Some(old) => note(&old.as_prefilter()?.spec, spec)?,
            None => note(&none, spec)?,
        }
    }
    if kept < known.len() {
        let stays: std::collections::HashSet<_> =
            after.iter().map(|(object, _)| object.name()).collect();
        let gone = before.iter().filter(|object| !stays.contains(object.name()));
        for object in gone {
            note(&object.as_prefilter()?.spec, &none)?;
        }
    }
    Some((changes(&was4, is4), changes(&was6, is6)))
}

/// The parts of two lists between what both begin and end with.
fn differing<'a>(before: &'a [Prefix], after: &'a [Prefix]) -> (&'a [Prefix], &'a [Prefix]) {
    let same = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, after) = (&before[same..], &after[same..]);
    let same = before.iter().rev().zip(after.iter().rev()).take_while(|(a, b)| a == b).count();
    (&before[..before.len() - same], &after[..after.len() - same])
}

fn list(
    prefix: &Prefix,
    deny: bool,
    v4: &mut HashMap<Ipv4Net, bool>,
    v6: &mut HashMap<Ipv6Net, bool>,
) -> Option<()> {
    let twice = match prefix.net() {
        IpNet::V4(prefix) => v4.insert(prefix.trunc(), deny),
        IpNet::V6(prefix) => v6.insert(prefix.trunc(), deny),
    };
    twice.is_none().then_some(())
}

fn changes<P: Copy + Eq + Hash + Ord>(was: &HashMap<P, bool>, is: HashMap<P, bool>) -> Changes<P> {
    let mut changes = Changes::default();
    changes.removed.extend(was.keys().filter(|prefix| !is.contains_key(prefix)));
    for (prefix, deny) in is {
        match was.get(&prefix) {
            None => changes.added.push((prefix, deny)),
            Some(before) if *before != deny => changes.turned.push((prefix, deny)),
            Some(_) => {}
        }
    }
    // The same change is the same plan.
    changes.added.sort_unstable();
    changes.turned.sort_unstable();
    changes.removed.sort_unstable();
    changes
}
