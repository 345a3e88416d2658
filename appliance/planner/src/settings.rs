//! The constants of the programs: only what is configured is in them.

use std::time::Duration;

use sluice_datapath::abi::{
    FRAGMENT_WAYS, Features, NatPool, REMEMBERED_WAYS, ServiceFlags, Settings, Table,
};
use sluice_model::{Capacity, Events, GatewaySpec};

use crate::{
    Facts, Sizes,
    facts::LinkFacts,
    sizes::PREFILTER_HITS,
    stages::{
        prefilter::Prefilters,
        service::{addresses::Addresses, state::ServiceState},
    },
};

/// For so long the fragments of a datagram follow its first one (the reassembly time of RFC 8200 is 60 s, that of
/// Linux 30 s).
pub(crate) const FRAGMENT_TIME: Duration = Duration::from_secs(30);
/// ICMP answers per second, on all CPUs together.
const ICMP_PER_SECOND: u32 = 1000;
/// [`Settings::flow_sample_shift`] for no flow at all.
const NO_FLOWS: u32 = 32;

/// What the constants are made of, besides facts.
pub(crate) struct Configured<'a> {
    pub(crate) gateway: &'a GatewaySpec,
    pub(crate) services: Vec<&'a ServiceState>,
    pub(crate) addresses: &'a Addresses,
    pub(crate) prefilters: &'a Prefilters,
    pub(crate) sizes: &'a Sizes,
    pub(crate) facts: &'a Facts,
}

impl Configured<'_> {
    /// What the programs must be able to do.
    pub(crate) fn features(&self) -> Features {
        let flags = self.services.iter().filter_map(|service| service.record).map(|r| r.flags);
        let (any, all) =
            flags.fold((0, ServiceFlags::NAT), |(any, all), flags| (any | flags.0, all & flags.0));
        let any = |flag| any & flag != 0;
        let feature = |is_set: bool, feature| if is_set { feature } else { 0 };
        let has_services = !self.services.is_empty();
        let (prefixes4, prefixes6) = (self.prefilters.prefixes4(), self.prefilters.prefixes6());
        let events = self.gateway.events;
        Features(
            feature(prefixes6 > 0 || any(ServiceFlags::IPV6), Features::IPV6)
                | feature(prefixes4 > 0, Features::PREFILTER4)
                | feature(prefixes6 > 0, Features::PREFILTER6)
                | feature(has_services, Features::SERVICE)
                | feature(has_services && all == 0, Features::DSR)
                | feature(any(ServiceFlags::NAT), Features::NAT)
                | feature(self.addresses.has_ranges(), Features::RANGES)
                | feature(any(ServiceFlags::SOURCES), Features::SOURCES)
                | feature(any(ServiceFlags::AFFINITY), Features::AFFINITY)
                | feature(events.drops_per_second > 0 || events.sample_flows > 0, Features::EVENTS)
                | feature(self.needs_tags(), Features::VLAN),
        )
    }

    /// Whether tagged packets must be looked into.
    fn needs_tags(&self) -> bool {
        let links = &self.gateway.links;
        let on_links = links.iter().filter_map(|link| self.facts.links.get(link.name.as_str()));
        // A priority tag (VLAN 0) needs no VLAN link: Linux takes what is behind it, so the prefilter must see it.
        let is_filtered = self.prefilters.prefixes4() + self.prefilters.prefixes6() > 0;
        is_filtered
            || on_links.into_iter().any(|link| link.has_vlans)
            || self.services.iter().any(|service| service.has_vlans)
    }

    /// The constants of the program of a link.
    pub(crate) fn settings(&self, link: &LinkFacts, features: Features) -> Settings {
        let mask = |table| self.sizes.get(table).saturating_sub(1);
        let events = &self.gateway.events;
        Settings {
            features,
            ifindex: link.ifindex,
            mtu: link.mtu,
            tick_shift: self.facts.clock.tick_shift,
            vip4_mask: mask(Table::Vip4),
            vip6_mask: mask(Table::Vip6),
            remembered_mask: mask(Table::Remembered),
            fragment_mask: mask(Table::Fragments),
            fragment_ticks: self.facts.clock.ticks(FRAGMENT_TIME),
            prefilter4_half: self.sizes.get(Table::Prefilter4Lines) / 2,
            prefilter6_half: self.sizes.get(Table::Prefilter6Lines) / 2,
            prefilter_hit_mask: PREFILTER_HITS - 1,
            drop_events_per_tick: self.per_cpu_and_tick(events.drops_per_second),
            flow_sample_shift: sample_shift(events),
            icmp_per_tick: self.per_cpu_and_tick(ICMP_PER_SECOND),
        }
    }

    /// The part of one CPU in one tick of a number per second, at least one.
    fn per_cpu_and_tick(&self, per_second: u32) -> u32 {
        let ticks = f64::from(per_second) * self.facts.clock.tick_duration.as_secs_f64();
        let part = (ticks / f64::from(self.facts.cpus.max(1))).round() as u32;
        if per_second == 0 { 0 } else { part.max(1) }
    }
}

/// One flow in a power of two that is at least as large as wished.
pub(crate) fn sample_shift(events: &Events) -> u32 {
    match events.sample_flows {
        0 => NO_FLOWS,
        flows => flows.checked_next_power_of_two().map_or(NO_FLOWS - 1, u32::trailing_zeros),
    }
}

/// Makes the tables large enough whose size is a choice.
pub(crate) fn need_capacity(capacity: &Capacity, sizes: &mut Sizes) {
    let lines = |entries: u32, ways: usize| entries.div_ceil(ways as u32).next_power_of_two();
    sizes.need(Table::Remembered, lines(capacity.remembered_flow_entries(), REMEMBERED_WAYS));
    sizes.need(Table::Fragments, lines(capacity.fragment_entries(), FRAGMENT_WAYS));
}

/// No pool: of services that do not translate.
pub(crate) const NO_POOL: NatPool = NatPool { first: 0, addresses: 0, set_low: 0, set_count: 0 };
