//! Tables on the card: one entry of each kind first, then larger and larger ones.

use sluice_kernel::linux::trial::{MapTrial, TrialMapKind, Tried};
use sluice_profile::{Answer, Capability, Finding, Limits, MapKind, Verdict};

use super::Link;
use crate::record::{Record, answer, answered, finding};

/// More is not tried: a card's memory is not ours alone.
const MOST_ENTRIES: u32 = 1 << 20;
const MOST_BYTES: u32 = 4096;

/// The number of the kernel for a kind.
fn number(kind: MapKind) -> TrialMapKind {
    match kind {
        MapKind::Array => TrialMapKind::Array,
        MapKind::Hash => TrialMapKind::Hash,
        MapKind::PerCpuArray => TrialMapKind::PerCpuArray,
        MapKind::PerCpuHash => TrialMapKind::PerCpuHash,
        MapKind::LruHash => TrialMapKind::LruHash,
        MapKind::LpmTrie => TrialMapKind::LpmTrie,
        MapKind::ProgramArray => TrialMapKind::ProgramArray,
        MapKind::PerfEventArray => TrialMapKind::PerfEventArray,
        MapKind::RingBuffer => TrialMapKind::RingBuffer,
        MapKind::DeviceMap => TrialMapKind::DeviceMap,
        MapKind::CpuMap => TrialMapKind::CpuMap,
    }
}

/// The smallest table of a kind.
pub(super) fn smallest(kind: MapKind) -> MapTrial {
    let entries = if kind == MapKind::RingBuffer { 4096 } else { 1 };
    MapTrial { kind: number(kind), key_bytes: 8, value_bytes: 8, entries, constant: false }
}

pub(super) fn probe(link: &Link, record: &mut Record) {
    for kind in MapKind::ALL {
        let asked =
            format!("create a table for the device, {}, one entry of 8 + 8 bytes", kind.name());
        let first = link.trials.map(&smallest(*kind)).map(drop);
        let mut line = finding(&asked, &first);
        if first.is_ok() && matches!(kind, MapKind::Array | MapKind::Hash) {
            grow(link, *kind, &mut line);
        }
        record.put(Capability::Map(*kind), line);
    }
}

/// Finds the largest table, the longest value and, where keys are free, the longest key.
fn grow(link: &Link, kind: MapKind, line: &mut Finding) {
    let smallest = smallest(kind);
    let mut limits = Limits { conditions: vec!["no flags".to_owned()], ..Limits::default() };
    let entries = largest(1, MOST_ENTRIES, 1, |entries| {
        link.trials.map(&MapTrial { entries, ..smallest }).map(drop)
    });
    limits.max_entries = Some(note(line, "entries of 8 + 8 bytes", &entries));
    let value = largest(8, MOST_BYTES, 8, |value_bytes| {
        link.trials.map(&MapTrial { value_bytes, ..smallest }).map(drop)
    });
    limits.max_value_bytes = Some(note(line, "bytes of value", &value));
    if kind == MapKind::Hash {
        // The kernel's own limit for the key is that of the stack.
        let key = largest(8, 512, 8, |key_bytes| {
            link.trials.map(&MapTrial { key_bytes, ..smallest }).map(drop)
        });
        limits.max_key_bytes = Some(note(line, "bytes of key", &key));
    }
    line.verdict = Verdict::Partly(limits);
}

/// The largest that was accepted, and why more was not.
pub(super) struct Largest {
    pub(super) accepted: u32,
    pub(super) refusal: Option<(u32, Answer)>,
}

/// The largest size up to `most` that is accepted, to within `step`; `first` is known to be accepted.
pub(super) fn largest(
    first: u32,
    most: u32,
    step: u32,
    mut accepts: impl FnMut(u32) -> Tried,
) -> Largest {
    let mut found = Largest { accepted: first, refusal: None };
    let mut attempt = |size: u32, found: &mut Largest| match accepts(size) {
        Ok(()) => found.accepted = size,
        Err(refused) => found.refusal = Some((size, answer(&refused))),
    };
    while found.accepted < most && found.refusal.is_none() {
        attempt((found.accepted * 2).min(most), &mut found);
    }
    while let Some((refused, _)) = found.refusal {
        let middle = found.accepted + (refused - found.accepted) / 2;
        let middle = middle - (middle - first) % step;
        if middle <= found.accepted {
            break;
        }
        attempt(middle, &mut found);
    }
    found
}

/// Adds the evidence of a search.
fn note(line: &mut Finding, words: &str, largest: &Largest) -> u32 {
    let accepted = largest.accepted;
    let asked = format!("create a table for the device with {accepted} {words}");
    line.evidence.push(answered(&asked, Answer::result("accepted")));
    match &largest.refusal {
        Some((size, answer)) => {
            let asked = format!("create a table for the device with {size} {words}");
            let evidence = answered(&asked, answer.clone());
            // The refusal is what sets the limit; that of the entries comes before all others.
            if words.starts_with("entries") {
                line.evidence.insert(0, evidence);
            } else {
                line.evidence.push(evidence);
            }
        }
        None => line.evidence.push(answered(&asked, Answer::result("more was not tried"))),
    }
    accepted
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_kernel::Errno;

    #[test]
    fn the_limit_is_found_exactly() {
        for limit in [1, 2, 3, 1000, 65_537, MOST_ENTRIES - 1] {
            let mut calls = 0;
            let found = largest(1, MOST_ENTRIES, 1, |size| {
                calls += 1;
                if size <= limit { Ok(()) } else { Err(Errno::ENOMEM.into()) }
            });
            assert_eq!(found.accepted, limit);
            assert_eq!(found.refusal.map(|(size, _)| size), Some(limit + 1));
            assert!(calls <= 42, "{calls} trials for {limit}");
        }
        let all = largest(1, MOST_ENTRIES, 1, |_| Ok(()));
        assert!(all.accepted == MOST_ENTRIES && all.refusal.is_none());
        let bytes = largest(8, 64, 8, |size| {
            assert_eq!(size % 8, 0);
            if size <= 24 { Ok(()) } else { Err(Errno::ENOMEM.into()) }
        });
        assert_eq!(bytes.accepted, 24);
    }
}
