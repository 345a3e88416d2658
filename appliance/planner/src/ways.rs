//! Where packets leave, for each address that they are sent to: shared between plans, so that a change costs what it
//! concerns.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use crate::facts::Way;

/// Parts that are copied when an address in them changes: of 100,000 addresses, a hundred.
const PARTS: usize = 1024;

type Part = Arc<HashMap<IpAddr, Way>>;

/// The ways to addresses. Cloning it copies nothing; a change copies the part that it is in.
#[derive(Clone, PartialEq, Eq)]
pub struct Ways(Arc<[Part]>);

impl Ways {
    /// The way to an address, if it is known.
    #[must_use]
    pub fn get(&self, address: &IpAddr) -> Option<&Way> {
        self.0[part_of(address)].get(address)
    }

    /// Sets the way to an address.
    pub fn insert(&mut self, address: IpAddr, way: Way) {
        if self.get(&address) != Some(&way) {
            self.part(&address).insert(address, way);
        }
    }

    /// Forgets an address.
    pub fn remove(&mut self, address: &IpAddr) {
        if self.get(address).is_some() {
            self.part(address).remove(address);
        }
    }

    /// All addresses with their ways.
    pub fn iter(&self) -> impl Iterator<Item = (&IpAddr, &Way)> {
        self.0.iter().flat_map(|part| part.iter())
    }

    /// The addresses whose ways are not what they were `before`. Parts that both share are not looked at.
    #[must_use]
    pub fn changed(&self, before: &Self) -> HashSet<IpAddr> {
        let mut changed = HashSet::new();
        for (now, before) in self.0.iter().zip(&*before.0) {
            if Arc::ptr_eq(now, before) {
                continue;
            }
            let differs = |(address, way): &(&IpAddr, &Way)| before.get(address) != Some(way);
            changed.extend(now.iter().filter(differs).map(|(address, _)| *address));
            changed.extend(before.keys().filter(|address| !now.contains_key(address)));
        }
        changed
    }

    fn part(&mut self, address: &IpAddr) -> &mut HashMap<IpAddr, Way> {
        Arc::make_mut(&mut Arc::make_mut(&mut self.0)[part_of(address)])
    }
}

fn part_of(address: &IpAddr) -> usize {
    let bits = match address {
        IpAddr::V4(address) => u64::from(address.to_bits()),
        IpAddr::V6(address) => (address.to_bits() >> 64) as u64 ^ address.to_bits() as u64,
    };
    (bits.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PARTS
}

impl Default for Ways {
    fn default() -> Self {
        let none = Part::default();
        Self((0..PARTS).map(|_| Arc::clone(&none)).collect())
    }
}

impl FromIterator<(IpAddr, Way)> for Ways {
    fn from_iter<I: IntoIterator<Item = (IpAddr, Way)>>(all: I) -> Self {
        let mut ways = Self::default();
        all.into_iter().for_each(|(address, way)| ways.insert(address, way));
        ways
    }
}

impl fmt::Debug for Ways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn address(number: u16) -> IpAddr {
        std::net::Ipv4Addr::from(0x0a00_0000 + u32::from(number)).into()
    }

    fn way(number: u8) -> Way {
        Err(number.to_string())
    }

    proptest! {
        #[test]
        fn what_changed_is_found(
            first in prop::collection::hash_map(0_u16..600, 0_u8..3, 0..200),
            steps in prop::collection::vec((0_u16..600, prop::option::of(0_u8..3)), 0..40),
        ) {
            let before: Ways = first.iter().map(|(&a, &w)| (address(a), way(w))).collect();
            let (mut now, mut expected) = (before.clone(), first.clone());
            for (number, new) in steps {
                match new {
                    Some(new) => {
                        now.insert(address(number), way(new));
                        expected.insert(number, new);
                    }
                    None => {
                        now.remove(&address(number));
                        expected.remove(&number);
                    }
                }
            }
            let differs = |number: &u16| first.get(number) != expected.get(number);
            let changed: HashSet<_> = (0..600).filter(differs).map(address).collect();
            prop_assert_eq!(now.changed(&before), changed);
            prop_assert_eq!(now, expected.iter().map(|(&a, &w)| (address(a), way(w))).collect());
            prop_assert!(first.iter().all(|(&a, &w)| before.get(&address(a)) == Some(&way(w))));
        }
    }
}
