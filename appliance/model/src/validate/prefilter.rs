//! Prefilters: each prefix once, over all of them.

use std::cmp::Ordering;

use super::prefixes::malformed;
use super::report::Report;
use crate::limits;
use crate::object::Kind;
use crate::objects::{Entry, Objects};
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::values::Prefix;

/// One mention of a prefix. A million of them are sorted, so it is small.
#[derive(Clone, Copy)]
struct Mention {
    prefix: Prefix,
    object: u32,
    list: List,
    index: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum List {
    Deny,
    Allow,
}

impl List {
    const fn field(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
        }
    }

    const fn done(self) -> &'static str {
        match self {
            Self::Deny => "denied",
            Self::Allow => "allowed",
        }
    }
}

impl Mention {
    fn path(self) -> FieldPath {
        FieldPath::spec(self.list.field()).index(self.index as usize)
    }

    fn order(&self, other: &Self) -> Ordering {
        let key = |mention: &Self| (mention.prefix, mention.object, mention.list, mention.index);
        key(self).cmp(&key(other))
    }
}

pub(super) fn check(objects: &Objects, report: &mut Report) {
    let entries: Vec<_> = objects.of_kind(Kind::Prefilter).map(|(_, entry)| entry).collect();
    let mut mentions = mentions(&entries);
    if mentions.len() > limits::PREFIXES {
        if let Some(entry) = entries.last() {
            let message = format!(
                "all prefilters together have {} prefixes, at most {} are allowed",
                mentions.len(),
                limits::PREFIXES
            );
            report.about(entry).field(FieldPath::root().field("spec"), Problem::new(message));
        }
        return;
    }
    for mention in &mentions {
        if let Some(problem) = malformed(mention.prefix) {
            report.about(entries[mention.object as usize]).value(mention.path(), problem);
        }
    }
    mentions.sort_unstable_by(Mention::order);
    for same in mentions.chunk_by(|a, b| a.prefix == b.prefix) {
        let first = same[0];
        for again in &same[1..] {
            let place = format!("{}: {}", entries[first.object as usize].object.id(), first.path());
            let (message, hint) = if first.list == again.list {
                (
                    format!("{} is listed twice, first in {place}", again.prefix),
                    "remove one of the two",
                )
            } else {
                let (done, other) = (again.list.done(), first.list.done());
                (
                    format!("{} is {done} here and {other} in {place}", again.prefix),
                    "one prefix has one action: remove one",
                )
            };
            report
                .about(entries[again.object as usize])
                .value(again.path(), Problem::new(message).with_hint(hint));
        }
    }
}

/// Every prefix of every prefilter.
fn mentions(entries: &[&Entry]) -> Vec<Mention> {
    let mut mentions = Vec::new();
    for (object, entry) in (0..).zip(entries) {
        let Some(prefilter) = entry.object.as_prefilter() else { continue };
        for (list, prefixes) in
            [(List::Deny, &prefilter.spec.deny), (List::Allow, &prefilter.spec.allow)]
        {
            mentions.extend((0..).zip(prefixes).map(|(index, prefix)| Mention {
                prefix: *prefix,
                object,
                list,
                index,
            }));
        }
    }
    mentions
}
