//! A change of a valid configuration, looked at where it may be wrong: what it changes, and what that meets.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use crate::limits;
use crate::object::{Object, Prefilter, Service};
use crate::objects::{Entry, Objects};
use crate::values::Prefix;

/// More changed prefixes than this are checked with all others.
const FEW_PREFIXES: usize = 4096;

/// Whether `after` is valid, as far as that can be told without looking at all of it. False: perhaps it is not.
pub(super) fn is_surely_valid(before: &Objects, after: &Objects) -> bool {
    let (mut changed, mut kept) = (Vec::new(), Vec::new());
    for (_, old, new) in before.beside(after) {
        match (old, new) {
            (Some(old), Some(new)) if Arc::ptr_eq(&old.object, &new.object) => kept.push(new),
            (old, Some(new)) => changed.push((old, new)),
            (Some(old), None) if old.object.as_gateway().is_some() => return false,
            _ => {}
        }
    }
    // What is asked of the gateway, is asked of all: only where it stays can the others stay as they are.
    let gateways = kept.iter().filter(|entry| entry.object.as_gateway().is_some()).count();
    if gateways != 1 || changed.len() > 1 + kept.len() / 4 {
        return false;
    }
    let mut part = Objects::new();
    let mut take = |entry: &Entry| {
        part.replace(Arc::clone(&entry.object), entry.source.clone(), None);
    };
    changed.iter().for_each(|(_, entry)| take(entry));
    let Some(neighbours) = neighbours(&changed, &kept) else { return false };
    neighbours.into_iter().for_each(&mut take);
    is_within_limits(after) && are_prefixes_new(&changed, &kept) && super::validate(&part).is_ok()
}

/// The objects that stay and that the changed ones must be checked with; `None` where they are in each other's way.
fn neighbours<'o>(
    changed: &[(Option<&Entry>, &Entry)],
    kept: &[&'o Entry],
) -> Option<Vec<&'o Entry>> {
    let service = |entry: &'_ Entry| entry.object.as_service().map(|service| service.spec.clone());
    let (mut virtual_addresses, mut moved, mut servers) =
        (HashSet::new(), HashSet::new(), HashSet::new());
    for (old, new) in changed {
        let Some(spec) = service(new) else { continue };
        virtual_addresses.insert(spec.address);
        if old.and_then(service).is_none_or(|old| old.address != spec.address) {
            moved.insert(spec.address);
        }
        servers.extend(spec.backends.iter().map(|backend| backend.address));
    }
    let mut neighbours = Vec::new();
    for &entry in kept {
        match &*entry.object {
            Object::Gateway(_) => neighbours.push(entry),
            Object::Service(other) if servers.contains(&other.spec.address) => return None,
            Object::Service(other) if has_server_at(other, &moved) => return None,
            Object::Service(other) if virtual_addresses.contains(&other.spec.address) => {
                neighbours.push(entry);
            }
            Object::Service(_) | Object::Prefilter(_) => {}
        }
    }
    Some(neighbours)
}

fn has_server_at(service: &Service, addresses: &HashSet<IpAddr>) -> bool {
    !addresses.is_empty()
        && service.spec.backends.iter().any(|backend| addresses.contains(&backend.address))
}

fn is_within_limits(objects: &Objects) -> bool {
    let (mut services, mut backends) = (0, 0);
    for service in objects.services() {
        services += 1;
        backends += service.spec.backends.len();
    }
    services <= limits::SERVICES && backends <= limits::BACKENDS
}

fn prefixes(prefilter: &Prefilter) -> impl Iterator<Item = &Prefix> {
    prefilter.spec.deny.iter().chain(&prefilter.spec.allow)
}

/// Whether the prefixes of changed prefilters are few, and none of them is in another prefilter.
fn are_prefixes_new(changed: &[(Option<&Entry>, &Entry)], kept: &[&Entry]) -> bool {
    let changed = changed.iter().filter_map(|(_, entry)| entry.object.as_prefilter());
    let changed: Vec<_> = changed.flat_map(prefixes).take(FEW_PREFIXES + 1).collect();
    if changed.is_empty() {
        return true;
    }
    if changed.len() > FEW_PREFIXES {
        return false;
    }
    let mut sieve = Sieve::default();
    changed.iter().for_each(|prefix| sieve.add(prefix));
    let set: HashSet<_> = changed.into_iter().collect();
    let mut count = set.len();
    for prefilter in kept.iter().filter_map(|entry| entry.object.as_prefilter()) {
        count += prefilter.spec.deny.len() + prefilter.spec.allow.len();
        if prefixes(prefilter).any(|prefix| sieve.may_have(prefix) && set.contains(prefix)) {
            return false;
        }
    }
    count <= limits::PREFIXES
}

/// Tells of most prefixes at once that they are not in a small set, when a million are asked for.
struct Sieve([u64; 1024]);

impl Default for Sieve {
    fn default() -> Self {
        Self([0; 1024])
    }
}

impl Sieve {
    fn add(&mut self, prefix: &Prefix) {
        let bit = Self::bit(prefix);
        self.0[bit / 64] |= 1 << (bit % 64);
    }

    fn may_have(&self, prefix: &Prefix) -> bool {
        let bit = Self::bit(prefix);
        self.0[bit / 64] >> (bit % 64) & 1 != 0
    }

    fn bit(prefix: &Prefix) -> usize {
        let bits = match prefix.net().addr() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
        };
        (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as usize
    }
}
