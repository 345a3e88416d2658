//! One service: from its object and what is known to what its tables hold.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use sluice_datapath::{
    abi::{BackendFlags, MAX_BACKEND_ID, NatPool, SlotRange, Table},
    hash::slot_bits,
};
use sluice_model::{DeliveryMode, Name, Object, ServiceSpec, TunnelSource};

use super::{
    backend::{Delivery, table_address},
    balance::{Decision, decide},
    record::{self, ServiceRecord, SourceRegion},
    slots::{self, Sharing, SlotWords},
    sources::{MAX_SOURCE_RANGES, SourceRanges},
    state::{BackendState, Inputs, ServiceState},
};
use crate::{
    Clock, Error, Run, Sizes,
    change::Moment,
    draft::Draft,
    facts::{Endpoint, Facts},
    identity::{Ids, Regions},
    settings,
};

/// For so long after a change a UDP flow that sends its first packet counts as older than the change. As long as
/// QUIC's keep-alives may be apart (RFC 9308, section 3.2).
const GRACE: Duration = Duration::from_secs(30);

/// What a service is planned from, besides its object.
pub(crate) struct Surroundings<'a> {
    pub(crate) facts: &'a Facts,
    pub(crate) words: SlotWords<'a>,
    pub(crate) tunnel_source: TunnelSource,
    /// The addresses whose ways changed since the last plan.
    pub(crate) moved: HashSet<IpAddr>,
}

/// Where services get their numbers from.
#[derive(Clone, Debug)]
pub(crate) struct Indices {
    pub(crate) services: Ids,
    pub(crate) backends: Ids,
    pub(crate) slots: Regions,
    pub(crate) sources4: Regions,
    pub(crate) sources6: Regions,
}

impl Default for Indices {
    fn default() -> Self {
        Self {
            services: Ids::from(0),
            backends: Ids::from(1),
            slots: Regions::default(),
            sources4: Regions::default(),
            sources6: Regions::default(),
        }
    }
}

impl Indices {
    /// The regions of the allowed sources of a family.
    pub(crate) fn sources(&mut self, v6: bool) -> &mut Regions {
        if v6 { &mut self.sources6 } else { &mut self.sources4 }
    }

    /// Makes free what packets no longer read.
    pub(crate) fn reclaim(&mut self, clock: &Clock) {
        for regions in [&mut self.slots, &mut self.sources4, &mut self.sources6] {
            regions.reclaim(clock);
        }
    }
}

/// Plans one service; the old state itself if nothing is to be done.
pub(crate) fn plan(
    (object, spec): (&Arc<Object>, &ServiceSpec),
    pool: NatPool,
    old: Option<&Arc<ServiceState>>,
    surroundings: &Surroundings,
    indices: &mut Indices,
    draft: &mut Draft,
) -> Result<Arc<ServiceState>, Error> {
    let facts = surroundings.facts;
    let name = object.name();
    let inputs = Inputs {
        object: Arc::clone(object),
        facts: facts.services.get(name).cloned(),
        tunnel_source: surroundings.tunnel_source,
        pool,
        tick_shift: facts.clock.tick_shift,
    };
    if let Some(old) = old
        && old.inputs.as_ref().is_some_and(|known| known.are(&inputs))
        && !old.is_in_transition()
        && !old.is_at(&surroundings.moved)
    {
        return Ok(Arc::clone(old));
    }
    Planning { name, spec, old: old.map(Arc::as_ref), surroundings, indices, draft }.run(inputs)
}

struct Planning<'a> {
    name: &'a Name,
    spec: &'a ServiceSpec,
    old: Option<&'a ServiceState>,
    surroundings: &'a Surroundings<'a>,
    indices: &'a mut Indices,
    draft: &'a mut Draft,
}

impl Planning<'_> {
    fn run(mut self, inputs: Inputs) -> Result<Arc<ServiceState>, Error> {
        let spec = self.spec;
        let clock = &self.surroundings.facts.clock;
        let idle_ticks = clock.ticks(spec.idle_timeout.as_duration());
        let none = BTreeMap::new();
        let known = self.old.map_or(&none, |old| &old.backends);
        let decisions = decide(spec, known, inputs.facts.as_deref(), clock);
        let index = self.index();
        let mut backends = self.backends(index, &decisions)?;
        let members: Vec<_> = backends
            .iter()
            .filter(|(_, backend)| backend.is_serving())
            .map(|(endpoint, backend)| (backend.id, *endpoint, decisions[endpoint].weight))
            .collect();
        let range = self.slot_range(&decisions)?;
        let moving = self.slots(range, &members, &mut backends, idle_ticks);
        self.forget(&mut backends, moving, idle_ticks);
        let ranges = SourceRanges::of(&spec.allowed_sources, spec.address.is_ipv6());
        let sources = self.sources(&ranges)?;
        let is_refused = members.is_empty() && backends.values().all(|b| b.condition.is_gone());
        let record = ServiceRecord {
            slots: range,
            flags: record::flags(spec, is_refused),
            sources,
            idle_ticks,
            grace_ticks: clock.ticks(GRACE).min(idle_ticks),
            pool: inputs.pool,
            address: table_address(spec.address),
        };
        if self.old.is_none_or(|old| old.record != Some(record)) {
            self.draft.services.insert(index, record.entry());
        }
        let mut shares: Vec<_> = members.iter().map(|(id, _, weight)| (*id, *weight)).collect();
        shares.sort_unstable();
        Ok(Arc::new(ServiceState {
            index,
            slots: range,
            moving,
            is_left: ServiceState::is_left(&backends),
            has_vlans: backends.values().any(|backend| backend.record.vlan != 0),
            backends,
            idle_ticks,
            sources: ranges,
            record: Some(record),
            members: Some(shares),
            inputs: Some(inputs),
        }))
    }

    fn index(&mut self) -> u32 {
        if let Some(old) = self.old {
            return old.index;
        }
        let index = self.indices.services.allocate();
        self.draft.names.insert(index, record::name_words(self.name));
        self.draft.new_services.push(index);
        self.note(format!("added, index {index}"));
        index
    }

    fn note(&mut self, message: String) {
        self.draft.note(format_args!("Service/{}", self.name), message);
    }

    fn backends(
        &mut self,
        index: u32,
        decisions: &BTreeMap<Endpoint, Decision>,
    ) -> Result<BTreeMap<Endpoint, BackendState>, Error> {
        let facts = self.surroundings.facts;
        let delivery = Delivery::of(self.spec, index, self.surroundings.tunnel_source, &facts.ways);
        let mut backends = BTreeMap::new();
        for (endpoint, decision) in decisions {
            let old = self.old.and_then(|old| old.backends.get(endpoint));
            let id = match old {
                Some(old) => old.id,
                None => self.new_backend(endpoint)?,
            };
            let (record, unreachable) = delivery.record(endpoint, decision.condition);
            if old.is_none_or(|old| old.record != record) {
                let is_lost = decision.condition.is_gone();
                let draft = &mut *self.draft;
                let writes = if is_lost { &mut draft.lost_backends } else { &mut draft.backends };
                writes.insert(id, record);
            }
            self.note_backend(endpoint, old, decision, unreachable.as_deref());
            let state = BackendState {
                id,
                condition: decision.condition,
                is_removed: decision.is_removed,
                leaving: decision.leaving,
                slots: old.map_or(0, |old| old.slots),
                unreachable,
                unreferenced: old.and_then(|old| old.unreferenced),
                record,
            };
            backends.insert(*endpoint, state);
        }
        Ok(backends)
    }

    fn new_backend(&mut self, endpoint: &Endpoint) -> Result<u32, Error> {
        let id = self.indices.backends.allocate();
        if id > MAX_BACKEND_ID {
            return Err(Error::TableFull {
                object: format!("Service/{}", self.name),
                table: Table::Backends.name(),
                entries: u64::from(id) + 1,
                limit: u64::from(MAX_BACKEND_ID) + 1,
                way_out: "remove backends of this or other services",
            });
        }
        self.draft.new_backends.push(id);
        self.note(format!("backend {endpoint} added, id {id}"));
        Ok(id)
    }

    fn note_backend(
        &mut self,
        endpoint: &Endpoint,
        old: Option<&BackendState>,
        decision: &Decision,
        unreachable: Option<&str>,
    ) {
        if decision.is_removed && old.is_some_and(|old| !old.is_removed) {
            self.note(format!("backend {endpoint} removed"));
        }
        let condition = decision.condition.as_str();
        match old {
            None => self.note(format!("backend {endpoint} is {condition}")),
            Some(old) if old.condition != decision.condition => {
                self.note(format!(
                    "backend {endpoint} is {condition}, was {}",
                    old.condition.as_str()
                ));
            }
            Some(_) => {}
        }
        match (old.and_then(|old| old.unreachable.as_deref()), unreachable) {
            (before, Some(why)) if before != Some(why) => {
                self.note(format!("backend {endpoint} cannot be sent to: {why}"));
            }
            (Some(_), None) => self.note(format!("backend {endpoint} can be sent to")),
            _ => {}
        }
    }

    /// The region of slots: as large as the weights need, whatever the backends' health is; never smaller than it was.
    fn slot_range(&mut self, decisions: &BTreeMap<Endpoint, Decision>) -> Result<SlotRange, Error> {
        let bits = slot_bits(decisions.values().map(|decision| decision.weight));
        let length = 1_u32 << bits;
        if let Some(old) = self.old
            && old.slot_count() >= length
        {
            return Ok(old.slots);
        }
        let limit = Sizes::limit(Table::Slots);
        let base = self.indices.slots.allocate(length);
        let base = base.filter(|&base| u64::from(base) + u64::from(length) <= limit);
        let base = base.ok_or_else(|| Error::TableFull {
            object: format!("Service/{}", self.name),
            table: Table::Slots.name(),
            entries: u64::from(self.indices.slots.end()) + u64::from(length),
            limit,
            way_out: "bring the weights of its backends closer together: each needs at least 100 slots",
        })?;
        if let Some(old) = self.old {
            let clock = &self.surroundings.facts.clock;
            self.indices.slots.release(old.slots.base, old.slot_count(), clock);
            self.note(format!("grows from {} to {length} slots", old.slot_count()));
        } else {
            self.note(format!("{length} slots"));
        }
        Ok(SlotRange { base, mask: length - 1 })
    }

    /// Changes the slots and the number of slots of each backend; returns how many are moving.
    fn slots(
        &mut self,
        range: SlotRange,
        members: &[(u32, Endpoint, u32)],
        backends: &mut BTreeMap<Endpoint, BackendState>,
        idle_ticks: u32,
    ) -> u32 {
        let old = self.old.map(|old| old.slots);
        let mut shares: Vec<_> = members.iter().map(|(id, _, weight)| (*id, *weight)).collect();
        shares.sort_unstable();
        let is_unchanged = old == Some(range)
            && self.old.and_then(|old| old.members.as_ref()).is_some_and(|old| *old == shares);
        let was_moving = self.old.map_or(0, |old| old.moving);
        if is_unchanged && was_moving == 0 {
            return 0;
        }
        let clock: &Clock = &self.surroundings.facts.clock;
        let alive: HashSet<u32> =
            backends.values().filter(|b| !b.condition.is_gone()).map(|b| b.id).collect();
        let gone = |id: u32| !alive.contains(&id);
        let has_records = self.spec.mode == DeliveryMode::Nat;
        let sharing = Sharing { members, is_unchanged, has_records };
        let moment = Moment { clock, idle_ticks, gone: &gone };
        let change = slots::change(old, range, self.surroundings.words, &sharing, &moment);
        if !is_unchanged {
            let mut counts = HashMap::<u32, u32>::new();
            change.owners.iter().for_each(|owner| *counts.entry(*owner).or_default() += 1);
            for backend in backends.values_mut() {
                backend.slots = counts.get(&backend.id).copied().unwrap_or(0);
            }
        }
        if change.changed > 0 && old.is_some() {
            let (changed, of, moving) = (change.changed, range.mask + 1, change.moving);
            self.note(format!("{changed} of {of} slots get another backend, {moving} are moving"));
        } else if was_moving > 0 && change.moving == 0 {
            self.note("all slots are quiet".to_owned());
        }
        self.draft.moves.extend(change.moves);
        self.draft.slots.extend(change.slots);
        change.moving
    }

    /// Forgets removed backends that nothing has referred to for long enough.
    fn forget(
        &mut self,
        backends: &mut BTreeMap<Endpoint, BackendState>,
        moving: u32,
        idle_ticks: u32,
    ) {
        let facts = self.surroundings.facts;
        let wait = memory_ticks(&facts.clock, idle_ticks);
        let mut forgotten = Vec::new();
        for (endpoint, backend) in backends.iter_mut() {
            if !backend.is_removed || moving > 0 || is_translated_to(self.spec, backend, facts) {
                backend.unreferenced = None;
                continue;
            }
            let since = *backend.unreferenced.get_or_insert(facts.clock.tick);
            if facts.clock.since(since) > wait {
                forgotten.push((*endpoint, backend.id));
            }
        }
        for (endpoint, id) in forgotten {
            backends.remove(&endpoint);
            self.draft.backends.remove(&id);
            self.draft.lost_backends.insert(id, Default::default());
            self.indices.backends.release(id);
            self.note(format!("backend {endpoint} forgotten, id {id} is free"));
        }
    }

    /// The region of allowed sources; a new one where they changed, so that no lookup sees half of a change.
    fn sources(&mut self, ranges: &SourceRanges) -> Result<SourceRegion, Error> {
        let (count, limit) = (ranges.count(), MAX_SOURCE_RANGES);
        if let Some(old) = self.old {
            if old.sources == *ranges {
                return Ok(old.source_region());
            }
            let (region, clock) = (old.source_region(), &self.surroundings.facts.clock);
            self.indices.sources(old.sources.is_v6()).release(region.first, region.count, clock);
        }
        let first = self.indices.sources(ranges.is_v6()).allocate(count as u32);
        let Some(first) = first.filter(|_| count <= limit) else {
            let service = self.name.clone();
            return Err(Error::TooManySources { service, ranges: count, limit });
        };
        match ranges {
            _ if count == 0 => {}
            SourceRanges::V4(ranges) => {
                self.draft.sources4.push(Run { first, values: ranges.clone() });
            }
            SourceRanges::V6(ranges) => {
                self.draft.sources6.push(Run { first, values: ranges.clone() });
            }
        }
        Ok(SourceRegion { first, count: count as u32 })
    }
}

/// Whether translated flows may refer to a removed backend.
fn is_translated_to(spec: &ServiceSpec, backend: &BackendState, facts: &Facts) -> bool {
    match &facts.nat_backends {
        Some(used) => used.contains(&backend.id),
        None => spec.mode == DeliveryMode::Nat && !backend.record.flags.has(BackendFlags::DEAD),
    }
}

/// Ticks after which the datapath remembers nothing of a backend that nothing refers to: neither flows nor
/// fragmented datagrams.
pub(crate) fn memory_ticks(clock: &Clock, idle_ticks: u32) -> u32 {
    idle_ticks.max(clock.ticks(settings::FRAGMENT_TIME)).saturating_add(1)
}
