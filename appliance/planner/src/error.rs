use std::net::IpAddr;

use ipnet::IpNet;
use sluice_model::{LinkName, Name, Placement, PortSpec, Protocol, Stage};
use thiserror::Error;

/// Why there is no plan for a configuration. Nothing is changed then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// Two services at the same ports.
    #[error(
        "Service/{service}: spec.port: {ports} of {address} {protocol} belongs to Service/{other}; \
         choose another port or another address"
    )]
    PortsTaken {
        /// The service that comes second in the order of names.
        service: Name,
        /// The one that comes first.
        other: Name,
        /// The address of both.
        address: IpAddr,
        /// The protocol of both.
        protocol: Protocol,
        /// The ports of the second.
        ports: PortSpec,
    },
    /// Too many different ports on one address.
    #[error(
        "the {services} services of {address} divide its ports into {ranges} ranges, at most {limit} can be searched; \
         give some of them another spec.address"
    )]
    TooManyPortRanges {
        /// How many services.
        services: usize,
        /// The address.
        address: IpAddr,
        /// How many ranges there would be.
        ranges: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Addresses whose hashes collide in every table.
    #[error(
        "the virtual and pool addresses from {address} on do not fit into a table of {lines} lines, because too many \
         of them have the same hash; choose another address"
    )]
    AddressesCollide {
        /// An address that has no place.
        address: IpAddr,
        /// The largest table that was tried.
        lines: usize,
    },
    /// More allowed sources than can be searched.
    #[error(
        "Service/{service}: spec.allowedSources: {ranges} separate ranges, at most {limit} can be searched; join \
         neighbouring prefixes"
    )]
    TooManySources {
        /// The service.
        service: Name,
        /// How many ranges there are.
        ranges: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A NAT service without a pool.
    #[error(
        "Service/{service}: spec.natPool: the Gateway has no pool `{pool}`; add it to spec.natPools of the Gateway or \
         name another"
    )]
    NoSuchPool {
        /// The service.
        service: Name,
        /// The pool.
        pool: String,
    },
    /// A NAT pool without an address of a service's family.
    #[error(
        "Service/{service}: spec.natPool: the pool `{pool}` has no {family} address for backends of {address}; add one \
         to the pool or name another"
    )]
    NoPoolAddress {
        /// The service.
        service: Name,
        /// The pool.
        pool: Name,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The service's address.
        address: IpAddr,
    },
    /// A port range of a pool that has not even one set of ports.
    #[error(
        "Gateway: spec.natPools: the ports {first}-{last} of the pool `{pool}` hold no {set} consecutive ports from a \
         multiple of {set} on; take a wider range"
    )]
    PoolPorts {
        /// The pool.
        pool: Name,
        /// First port.
        first: u16,
        /// Last port.
        last: u16,
        /// Ports in a set.
        set: usize,
    },
    /// More pool addresses than records can be numbered for.
    #[error(
        "Gateway: spec.natPools: no room for {addresses} consecutive addresses of the pool `{pool}` among at most \
         {limit} in all; remove addresses from the pools"
    )]
    TooManyPoolAddresses {
        /// The pool.
        pool: Name,
        /// How many addresses of one family it has.
        addresses: usize,
        /// How many there may be of all pools.
        limit: u32,
    },
    /// A prefix that is denied and allowed.
    #[error("Prefilter: {prefix} is both denied and allowed; remove one of the two")]
    PrefixTwice {
        /// The prefix.
        prefix: IpNet,
    },
    /// A table that would need more entries than fit into kernel memory for one table.
    #[error(
        "{object}: the table {table} would need {entries} entries, at most {limit} are possible; {way_out}"
    )]
    TableFull {
        /// The object that needs them.
        object: String,
        /// The table.
        table: &'static str,
        /// How many entries.
        entries: u64,
        /// How many there can be.
        limit: u64,
        /// What to do.
        way_out: &'static str,
    },
    /// A placement that the operator requires and that is not possible.
    #[error(
        "Gateway: spec.links[{link}].placements[{pin}]: {placement} is required for the stage {stage} on {name}, but \
         {reason}; {way_out}"
    )]
    PlacementRefused {
        /// Place of the link in the list.
        link: usize,
        /// Place of the requirement in the link's list.
        pin: usize,
        /// The link.
        name: LinkName,
        /// The stage.
        stage: Stage,
        /// Where it must be.
        placement: Placement,
        /// Why it cannot be there, with the evidence.
        reason: String,
        /// What would have to change.
        way_out: String,
    },
    /// Prefixes whose hashes collide in every table.
    #[error(
        "Prefilter: {prefix} does not fit into the table, because too many prefixes have the same hash; remove it, or \
         write it as two longer prefixes"
    )]
    PrefixesCollide {
        /// The prefix.
        prefix: IpNet,
    },
}

impl Error {
    pub(crate) const fn family(address: IpAddr) -> &'static str {
        if address.is_ipv6() { "IPv6" } else { "IPv4" }
    }
}
