//! The pools that services use: numbers of their addresses, and what each service needs to know of its pool.

use std::{collections::BTreeMap, net::IpAddr};

use sluice_datapath::abi::{Address, NAT_WAYS, NatPool, ip_address};
use sluice_model::{GatewaySpec, Name, ServiceSpec};

use super::pool::{self, Group, MAX_NUMBERS, NoRoom};
use crate::{Error, draft::Draft, stages::service::backend::table_address};

/// What the tables hold of pools.
#[derive(Clone, Debug, Default)]
pub struct Pools {
    /// Numbers of the addresses in use.
    numbers: BTreeMap<IpAddr, u32>,
    /// The address that each number had last: its records may still be there.
    contents: BTreeMap<u32, Address>,
}

/// What each service is told of its pool, by pool and family.
pub(crate) type PoolRecords = BTreeMap<(Name, bool), NatPool>;

impl Pools {
    /// Those of a running datapath: the contents of the table of pool addresses, and the addresses whose line says
    /// that they are a pool's, with the number there.
    #[must_use]
    pub fn of(table: &[Address], in_use: impl IntoIterator<Item = (IpAddr, u32)>) -> Self {
        let contents = (0..).zip(table).filter(|(_, address)| **address != [0; 4]);
        Self {
            numbers: in_use.into_iter().collect(),
            contents: contents.map(|(number, address)| (number, *address)).collect(),
        }
    }

    /// The addresses in use with their numbers.
    pub fn numbers(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        self.numbers.iter().map(|(&address, &number)| (address, number))
    }

    /// Whether the addresses and their numbers are the same.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }

    /// One more than the largest number that has records.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.contents.last_key_value().map_or(0, |(number, _)| number + 1)
    }

    /// Numbers the addresses of the pools that `services` use.
    pub(crate) fn plan<'a>(
        &mut self,
        gateway: &GatewaySpec,
        services: impl IntoIterator<Item = (&'a Name, &'a ServiceSpec)>,
        draft: &mut Draft,
    ) -> Result<PoolRecords, Error> {
        let groups = groups(gateway, services)?;
        let numbers = pool::number(&groups, &self.numbers).map_err(|NoRoom(group)| {
            Error::TooManyPoolAddresses {
                pool: group.pool,
                addresses: group.addresses.len(),
                limit: MAX_NUMBERS,
            }
        })?;
        for (&address, &number) in &numbers {
            let entry = table_address(address);
            match self.contents.insert(number, entry) {
                Some(before) if before == entry => continue,
                Some(before) => {
                    let before = ip_address(before, before[1..] != [0; 3]);
                    draft.reused_numbers.push(number);
                    draft.note(
                        "Gateway",
                        format!("pool address {address} takes number {number} of {before}"),
                    );
                }
                None => {
                    draft.note("Gateway", format!("pool address {address} has number {number}"))
                }
            }
            if self.numbers.get(&address).is_some_and(|&old| old != number) {
                let message = format!(
                    "the flows of pool address {address} are lost: its pool has no room to grow where it is"
                );
                draft.note("Gateway", message);
            }
            draft.pool.insert(number, entry);
        }
        self.numbers = numbers;
        records(gateway, &groups, &self.numbers)
    }
}

/// The groups of addresses that services use, in the order of the pools.
fn groups<'a>(
    gateway: &GatewaySpec,
    services: impl IntoIterator<Item = (&'a Name, &'a ServiceSpec)>,
) -> Result<Vec<Group>, Error> {
    let mut used = BTreeMap::new();
    for (service, spec) in services {
        let Some(pool) = spec.nat_pool_name() else { continue };
        used.entry((pool, spec.address.is_ipv6())).or_insert((service, spec.address));
    }
    let mut groups = Vec::new();
    for pool in &gateway.nat_pools {
        for v6 in [false, true] {
            let Some((service, address)) = used.remove(&(pool.name.as_str(), v6)) else { continue };
            let mut addresses: Vec<IpAddr> = Vec::new();
            for &address in pool.addresses.iter().filter(|address| address.is_ipv6() == v6) {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            if addresses.is_empty() {
                return Err(Error::NoPoolAddress {
                    service: service.clone(),
                    pool: pool.name.clone(),
                    family: Error::family(address),
                    address,
                });
            }
            groups.push(Group { pool: pool.name.clone(), addresses });
        }
    }
    match used.into_iter().next() {
        Some(((pool, _), (service, _))) => {
            Err(Error::NoSuchPool { service: service.clone(), pool: pool.to_owned() })
        }
        None => Ok(groups),
    }
}

fn records(
    gateway: &GatewaySpec,
    groups: &[Group],
    numbers: &BTreeMap<IpAddr, u32>,
) -> Result<PoolRecords, Error> {
    let mut records = BTreeMap::new();
    for group in groups {
        let Some(pool) = gateway.nat_pools.iter().find(|pool| pool.name == group.pool) else {
            continue;
        };
        let record = pool::record(group, pool.ports, numbers).ok_or_else(|| Error::PoolPorts {
            pool: pool.name.clone(),
            first: pool.ports.first().get(),
            last: pool.ports.last().get(),
            set: NAT_WAYS,
        })?;
        let v6 = group.addresses.iter().any(IpAddr::is_ipv6);
        records.insert((pool.name.clone(), v6), record);
    }
    Ok(records)
}
