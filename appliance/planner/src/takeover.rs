//! The state of a running datapath, read back from its tables.

use std::{collections::BTreeMap, sync::Arc};

use sluice_datapath::abi::{
    Address, Backend, BackendFlags, NAT_INDICES_PER_ADDRESS, NO_BACKEND, PortRange, Service,
    ServiceFlags, SourceRange4, SourceRange6, VipFlags, VipLine, ip_address,
};

use crate::{
    Clock, Sizes, SlotWords, State,
    facts::Endpoint,
    identity::{Ids, Regions},
    stages::{
        nat::Pools,
        prefilter::Prefilters,
        service::{
            ServiceRecord, SourceRanges,
            addresses::Addresses,
            plan::Indices,
            read_name,
            state::{BackendState, Condition, ServiceState},
        },
    },
    state::Retired,
};

/// The contents of tables, each from its first entry on.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Sizes of all tables.
    pub sizes: Sizes,
    /// `SERVICES`.
    pub services: Vec<Service>,
    /// `SERVICE_NAMES`.
    pub names: Vec<[u64; 8]>,
    /// `BACKENDS`.
    pub backends: Vec<Backend>,
    /// `VIP4`.
    pub vip4: Vec<VipLine>,
    /// `VIP6`.
    pub vip6: Vec<VipLine>,
    /// `PORT_RANGES`.
    pub port_ranges: Vec<PortRange>,
    /// `SOURCES4`.
    pub sources4: Vec<SourceRange4>,
    /// `SOURCES6`.
    pub sources6: Vec<SourceRange6>,
    /// `NAT_POOL`.
    pub nat_pool: Vec<Address>,
    /// Active half of the IPv4 prefilter, and how many of its lines are in use (`mask` + 1 of its header if it has
    /// `lengths`, else none).
    pub prefilter4: (u32, u32),
    /// The same of the IPv6 prefilter.
    pub prefilter6: (u32, u32),
}

impl State {
    /// The state of a running datapath. What a plan cannot see in the tables is computed again by the next plan, which
    /// writes only what differs.
    ///
    /// Times are not in the tables: what was draining or removed begins its time anew.
    #[must_use]
    pub fn take_over(snapshot: Snapshot, words: SlotWords, clock: &Clock) -> Self {
        let mut state = Self::empty(snapshot.sizes);
        let mut by_service = BTreeMap::<u32, Vec<(u32, &Backend)>>::new();
        state.indices.backends = Ids::from(NO_BACKEND + 1);
        let used = |(_, backend): &(u32, &Backend)| backend.flags.has(BackendFlags::USED);
        for (id, backend) in (0..).zip(&snapshot.backends).skip(1).filter(used) {
            state.indices.backends.take(id);
            by_service.entry(backend.service).or_default().push((id, backend));
        }
        for (index, entry) in (0..).zip(&snapshot.services) {
            if !entry.flags.has(ServiceFlags::USED) {
                continue;
            }
            state.indices.services.take(index);
            let backends = by_service.remove(&index).unwrap_or_default();
            let sources = sources(entry, &snapshot.sources4, &snapshot.sources6);
            let service = service(index, entry, &backends, sources, words);
            let name = snapshot.names.get(index as usize).and_then(read_name);
            match name.filter(|name| !state.services.contains_key(name)) {
                Some(name) => _ = state.services.insert(name, Arc::new(service)),
                None => state.retired.push(Arc::new(Retired { service, since: clock.tick })),
            }
        }
        for (id, _) in by_service.into_values().flatten() {
            // No service has it, so nothing refers to it; whoever gets the id writes the whole entry.
            state.indices.backends.release(id);
        }
        state.indices = regions(&state);
        let pool_line = |v6: bool| {
            move |line: &VipLine| {
                let is_pool = line.flags.has(VipFlags::POOL);
                let address = ip_address(line.address, v6);
                is_pool.then_some((address, line.nat / NAT_INDICES_PER_ADDRESS))
            }
        };
        let pools4 = snapshot.vip4.iter().filter_map(pool_line(false));
        let pools6 = snapshot.vip6.iter().filter_map(pool_line(true));
        state.pools = Pools::of(&snapshot.nat_pool, pools4.chain(pools6));
        state.addresses = Addresses::of(snapshot.vip4, snapshot.vip6, &snapshot.port_ranges);
        state.prefilters = Prefilters::of(snapshot.prefilter4, snapshot.prefilter6);
        state
    }

    /// Takes from an earlier state what the tables do not tell: since when backends are leaving and services are gone.
    /// For a state that was read again because somebody else may have written to the tables.
    pub fn remember(&mut self, earlier: &Self) {
        for (name, service) in &mut self.services {
            let Some(before) = earlier.services.get(name) else { continue };
            let service = Arc::make_mut(service);
            for (endpoint, backend) in &mut service.backends {
                let before = before.backends.get(endpoint).filter(|old| old.id == backend.id);
                let Some(before) = before else { continue };
                backend.condition = before.condition;
                backend.is_removed = before.is_removed;
                backend.leaving = before.leaving;
                backend.unreferenced = before.unreferenced;
            }
            service.is_left = ServiceState::is_left(&service.backends);
        }
        for retired in &mut self.retired {
            let index = retired.service.index;
            let before = earlier.retired.iter().find(|before| before.service.index == index);
            let since = before.map_or(retired.since, |before| before.since);
            Arc::make_mut(retired).since = since;
        }
    }
}

fn service(
    index: u32,
    entry: &Service,
    backends: &[(u32, &Backend)],
    sources: SourceRanges,
    words: SlotWords,
) -> ServiceState {
    let record = ServiceRecord::of(entry);
    let slots = (0..=record.slots.mask).map(|offset| words.read(record.slots.base + offset).slot);
    let (mut owners, mut moving) = (BTreeMap::<u32, u32>::new(), 0);
    for slot in slots {
        *owners.entry(slot.now).or_default() += 1;
        moving += u32::from(slot.is_moving());
    }
    let mut known = BTreeMap::new();
    for &(id, backend) in backends {
        let address = ip_address(backend.address, backend.flags.has(BackendFlags::IPV6));
        let slots = owners.get(&id).copied().unwrap_or(0);
        let condition = match (backend.flags.has(BackendFlags::DEAD), slots) {
            (true, _) => Condition::Down,
            (false, 0) => Condition::Waiting,
            (false, _) => Condition::Serving,
        };
        let state = BackendState {
            id,
            condition,
            is_removed: false,
            leaving: None,
            slots,
            unreachable: None,
            unreferenced: None,
            record: *backend,
        };
        known.entry(Endpoint { address, port: backend.port }).or_insert(state);
    }
    ServiceState {
        index,
        slots: record.slots,
        moving,
        is_left: ServiceState::is_left(&known),
        has_vlans: known.values().any(|backend| backend.record.vlan != 0),
        backends: known,
        idle_ticks: record.idle_ticks,
        sources,
        record: Some(record),
        members: None,
        inputs: None,
    }
}

/// The allowed sources of a service as they stand in their table.
fn sources(entry: &Service, v4: &[SourceRange4], v6: &[SourceRange6]) -> SourceRanges {
    let region = ServiceRecord::of(entry).sources;
    let range = region.first as usize..(region.first + region.count) as usize;
    if entry.flags.has(ServiceFlags::IPV6) {
        SourceRanges::V6(v6.get(range).unwrap_or_default().to_vec())
    } else {
        SourceRanges::V4(v4.get(range).unwrap_or_default().to_vec())
    }
}

fn regions(state: &State) -> Indices {
    let services = || {
        let retired = state.retired.iter().map(|retired| &retired.service);
        state.services.values().map(Arc::as_ref).chain(retired)
    };
    let sources = |v6: bool| {
        let regions = services().filter(|service| service.sources.is_v6() == v6);
        let regions = regions.map(ServiceState::source_region);
        Regions::of(regions.map(|region| (region.first, region.count)))
    };
    Indices {
        slots: Regions::of(services().map(|s| (s.slots.base, s.slot_count()))),
        sources4: sources(false),
        sources6: sources(true),
        ..state.indices.clone()
    }
}
