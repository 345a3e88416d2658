//! Which pool address has which number: the number says where its records are.
//!
//! A service takes its ports from consecutive numbers, so the addresses of one pool and family (a *group*) stand
//! together. An address that has a number keeps it as long as its group can stay together around it: the flows of
//! an address that is renumbered are lost.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use sluice_datapath::abi::{NAT_INDICES_PER_ADDRESS, NAT_WAYS, NatPool};
use sluice_model::{Name, PortRange};

/// Numbers of pool addresses: the index of a record fits into 24 bits where fragments remember it.
pub const MAX_NUMBERS: u32 = (1 << 24) / NAT_INDICES_PER_ADDRESS;

/// The addresses of one family of one pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The pool.
    pub pool: Name,
    /// The addresses, without repetition.
    pub addresses: Vec<IpAddr>,
}

/// A group that finds no room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoRoom(pub Group);

/// Numbers addresses anew; `current` are the numbers of the addresses so far.
///
/// # Errors
/// If a group finds no room among [`MAX_NUMBERS`] numbers.
pub fn number(
    groups: &[Group],
    current: &BTreeMap<IpAddr, u32>,
) -> Result<BTreeMap<IpAddr, u32>, NoRoom> {
    let numbers_of = |group: &Group| -> BTreeMap<IpAddr, u32> {
        group.addresses.iter().filter_map(|a| Some((*a, *current.get(a)?))).collect()
    };
    let kept: BTreeSet<u32> =
        groups.iter().flat_map(numbers_of).map(|(_, number)| number).collect();
    let mut numbers = BTreeMap::new();
    let mut homeless = Vec::new();
    for group in groups {
        let own = numbers_of(group);
        let taken: BTreeSet<u32> = kept.iter().chain(numbers.values()).copied().collect();
        match around(group.addresses.len() as u32, &own, &taken) {
            Some(first) => assign(&mut numbers, group, first, &own),
            None => homeless.push(group),
        }
    }
    for group in homeless {
        let taken: BTreeSet<u32> = numbers.values().copied().collect();
        let length = group.addresses.len() as u32;
        let first = (0..MAX_NUMBERS.saturating_sub(length - 1))
            .find(|&first| taken.range(first..first + length).next().is_none())
            .ok_or_else(|| NoRoom(group.clone()))?;
        assign(&mut numbers, group, first, &BTreeMap::new());
    }
    Ok(numbers)
}

/// The first of `length` numbers around those that a group has, all others of them free.
fn around(length: u32, own: &BTreeMap<IpAddr, u32>, taken: &BTreeSet<u32>) -> Option<u32> {
    let low = *own.values().min()?;
    let high = *own.values().max()?;
    // Growing upwards comes first.
    let firsts = (high + 1).saturating_sub(length)..=low;
    firsts.rev().filter(|first| first + length <= MAX_NUMBERS).find(|&first| {
        let others = taken.range(first..first + length).count();
        others == own.len()
    })
}

fn assign(
    numbers: &mut BTreeMap<IpAddr, u32>,
    group: &Group,
    first: u32,
    own: &BTreeMap<IpAddr, u32>,
) {
    let used: BTreeSet<u32> = own.values().copied().collect();
    let mut free = (first..).filter(|number| !used.contains(number));
    for address in &group.addresses {
        let number = own.get(address).copied().or_else(|| free.next());
        numbers.extend(number.map(|number| (*address, number)));
    }
}

/// What a service needs to know of its group: `numbers` are those of [`number`]. `None` if the port range holds not
/// even one set of [`NAT_WAYS`] consecutive ports.
#[must_use]
pub fn record(group: &Group, ports: PortRange, numbers: &BTreeMap<IpAddr, u32>) -> Option<NatPool> {
    let ways = NAT_WAYS as u32;
    let first = group.addresses.iter().filter_map(|address| numbers.get(address)).min()?;
    let low = u32::from(ports.first().get()).div_ceil(ways);
    let end = (u32::from(ports.last().get()) + 1) / ways;
    let count = end.checked_sub(low).filter(|&count| count > 0)?;
    Some(NatPool {
        first: *first as u16,
        addresses: group.addresses.len() as u16,
        set_low: low as u16,
        set_count: count as u16,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sluice_model::Port;

    fn group(pool: &str, addresses: &[&str]) -> Group {
        Group {
            pool: Name::new(pool).unwrap(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        }
    }

    fn of(numbers: &BTreeMap<IpAddr, u32>, addresses: &[&str]) -> Vec<u32> {
        addresses.iter().map(|address| numbers[&address.parse::<IpAddr>().unwrap()]).collect()
    }

    fn ports(first: u16, last: u16) -> PortRange {
        PortRange::new(Port::new(first).unwrap(), Port::new(last).unwrap()).unwrap()
    }

    #[test]
    fn a_group_stands_together() {
        let groups = [
            group("a", &["10.0.0.1", "10.0.0.2"]),
            group("a", &["fd00::1"]),
            group("b", &["10.0.1.1"]),
        ];
        let numbers = number(&groups, &BTreeMap::new()).unwrap();
        assert_eq!(of(&numbers, &["10.0.0.1", "10.0.0.2", "fd00::1", "10.0.1.1"]), [0, 1, 2, 3]);
    }

    #[test]
    fn an_address_keeps_its_number_while_others_come_and_go() {
        let before =
            [group("a", &["10.0.0.1"]), group("b", &["10.0.1.1"]), group("c", &["10.0.2.1"])];
        let numbers = number(&before, &BTreeMap::new()).unwrap();
        let after = [group("b", &["10.0.1.1", "10.0.1.2"]), group("c", &["10.0.2.1"])];
        let numbers = number(&after, &numbers).unwrap();
        assert_eq!(of(&numbers, &["10.0.1.1", "10.0.1.2", "10.0.2.1"]), [1, 0, 2]);
    }

    #[test]
    fn a_group_without_room_around_it_moves_as_a_whole() {
        let before = [group("a", &["10.0.0.1"]), group("b", &["10.0.1.1"])];
        let numbers = number(&before, &BTreeMap::new()).unwrap();
        let after = [group("a", &["10.0.0.1", "10.0.0.2"]), group("b", &["10.0.1.1"])];
        let numbers = number(&after, &numbers).unwrap();
        assert_eq!(of(&numbers, &["10.0.0.1", "10.0.0.2", "10.0.1.1"]), [2, 3, 1]);
    }

    #[test]
    fn numbers_end_where_fragments_cannot_name_them() {
        let many: Vec<String> = (0..=MAX_NUMBERS).map(|i| format!("10.0.0.{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(MAX_NUMBERS, 128);
        assert!(number(&[group("a", &many[..128])], &BTreeMap::new()).is_ok());
        let too_many = group("a", &many);
        assert_eq!(
            number(std::slice::from_ref(&too_many), &BTreeMap::new()),
            Err(NoRoom(too_many.clone()))
        );
    }

    #[test]
    fn only_whole_sets_of_ports_are_used() {
        let group = group("a", &["10.0.0.1", "10.0.0.2"]);
        let numbers = number(std::slice::from_ref(&group), &BTreeMap::new()).unwrap();
        let sets = |first, last| {
            record(&group, ports(first, last), &numbers).map(|pool| (pool.set_low, pool.set_count))
        };
        assert_eq!(sets(1024, 65535), Some((64, 4032)));
        assert_eq!(sets(1025, 1055), Some((65, 1)));
        assert_eq!(sets(1025, 1054), None);
        assert_eq!(sets(1, 65535), Some((1, 4095)));
        assert_eq!(sets(1024, 1030), None);
        let pool = record(&group, ports(1024, 65535), &numbers).unwrap();
        assert_eq!((pool.first, pool.addresses), (0, 2));
    }

    proptest! {
        #[test]
        fn groups_are_consecutive_and_numbers_unique(
            steps in prop::collection::vec(
                prop::collection::vec(prop::collection::btree_set(0_u8..10, 0..6), 1..5),
                1..8,
            ),
        ) {
            let mut numbers = BTreeMap::new();
            for step in steps {
                let groups: Vec<Group> = step
                    .iter()
                    .enumerate()
                    .filter(|(_, hosts)| !hosts.is_empty())
                    .map(|(pool, hosts)| Group {
                        pool: Name::new(format!("p{pool}")).unwrap(),
                        addresses: hosts.iter().map(|host| IpAddr::from([10, 0, pool as u8, *host])).collect(),
                    })
                    .collect();
                let new = number(&groups, &numbers).unwrap();
                let unique: BTreeSet<_> = new.values().collect();
                prop_assert_eq!(unique.len(), groups.iter().map(|group| group.addresses.len()).sum::<usize>());
                for group in &groups {
                    let own: BTreeSet<u32> = group.addresses.iter().map(|address| new[address]).collect();
                    let (low, high) = (own.first().unwrap(), own.last().unwrap());
                    prop_assert_eq!((high - low + 1) as usize, own.len());
                }
                // What did not change keeps its numbers.
                prop_assert_eq!(&number(&groups, &new).unwrap(), &new);
                numbers = new;
            }
        }
    }
}
