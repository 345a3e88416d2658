//! From objects, facts and the state of the tables to a plan.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use sluice_datapath::abi::{NAT_INDICES_PER_ADDRESS, NAT_WAYS, Table};
use sluice_model::{GatewaySpec, Name, Object, Objects, PrefilterSpec, ServiceSpec};

use crate::{
    Error, Facts, Plan, State, Step,
    draft::Draft,
    plan::Grow,
    programs::Programs,
    settings::{self, Configured, NO_POOL},
    stages::{
        self,
        nat::PoolRecords,
        service::{
            addresses::Wanted,
            plan::{self as service_plan, Surroundings},
            ports::PortClaim,
            slots::SlotWords,
        },
    },
    state::Retired,
};

/// Sizes of small tables, so that a small configuration seldom makes them grow.
const FIRST_SERVICES: u32 = 64;
const FIRST_BACKENDS: u32 = 256;
const FIRST_SLOTS: u32 = 4096;
const FIRST_RANGES: u32 = 64;

/// What is to be done so that the datapath does what `objects` want.
///
/// Pure: the same arguments give the same plan. What did not change since `state` is not computed again; see
/// [`Facts`] for how it is recognised.
///
/// # Errors
/// If the objects contradict each other or do not fit into the tables. Objects that
/// [`validate`](sluice_model::validate()) accepts do so only at the limits.
pub fn plan(
    objects: &Objects,
    facts: &Facts,
    state: &State,
    words: SlotWords,
) -> Result<Plan, Error> {
    let wanted = Desired::of(objects);
    let mut next = state.clone();
    let mut draft = Draft::default();
    let clock = &facts.clock;
    next.indices.reclaim(clock);
    let services = wanted.services.iter().map(|(_, (name, spec))| (*name, *spec));
    let pools = next.pools.plan(wanted.gateway, services, &mut draft)?;
    let surroundings = Surroundings { facts, words, tunnel_source: wanted.gateway.tunnel_source };
    plan_services(&wanted, &pools, &surroundings, &mut next, &mut draft)?;
    let fill = if wanted.is_planned(state) && next.pools.is_like(&state.pools) {
        forget(facts, &mut next, &mut draft);
        Vec::new()
    } else {
        retire(&wanted, facts, &mut next, &mut draft);
        forget(facts, &mut next, &mut draft);
        let addresses = addresses(&wanted, &next);
        next.addresses.plan(addresses, clock, &mut draft)?
    };
    let copies = next.prefilters.plan(wanted.prefilters.clone(), &mut next.sizes, &mut draft)?;
    need(&mut next, wanted.gateway);

    let configured = Configured {
        gateway: wanted.gateway,
        services: next.services.values().map(Arc::as_ref).collect(),
        addresses: &next.addresses,
        prefilters: &next.prefilters,
        sizes: &next.sizes,
        facts,
    };
    let programs = Programs::of(&configured);
    let tables: Vec<_> = next
        .sizes
        .larger_than(&state.sizes)
        .map(|(table, _)| (table, state.sizes.get(table)))
        .collect();
    let mut steps = Vec::new();
    if tables.is_empty() {
        steps.extend(programs.before(&configured));
    } else {
        for (table, before) in &tables {
            draft.note(
                "tables",
                format!(
                    "{} grows from {before} to {} entries",
                    table.name(),
                    next.sizes.get(*table)
                ),
            );
        }
        steps.push(Step::Grow(Grow {
            sizes: next.sizes.clone(),
            tables,
            copies,
            fill,
            programs: programs.running(&configured),
        }));
    }
    let (backends, reset) =
        (std::mem::take(&mut draft.new_backends), std::mem::take(&mut draft.new_services));
    if !backends.is_empty() || !reset.is_empty() {
        steps.push(Step::ResetCounters { backends, services: reset });
    }
    let numbers = std::mem::take(&mut draft.reused_numbers);
    steps.extend(numbers.into_iter().map(|number| Step::ForgetRecords { number }));
    let mut notes = std::mem::take(&mut draft.notes);
    steps.extend(draft.writes().into_iter().map(Step::Write));
    let programs = programs.after(&configured, &steps, &mut notes);
    steps.extend(programs);
    let placements = stages::placements(&configured);
    drop(configured);
    Ok(Plan { steps, notes, placements, next })
}

/// The objects by kind.
struct Desired<'a> {
    gateway: &'a GatewaySpec,
    services: Vec<(&'a Arc<Object>, (&'a Name, &'a ServiceSpec))>,
    prefilters: Vec<(&'a Arc<Object>, &'a PrefilterSpec)>,
}

impl<'a> Desired<'a> {
    fn of(objects: &'a Objects) -> Self {
        static NO_GATEWAY: std::sync::LazyLock<GatewaySpec> =
            std::sync::LazyLock::new(GatewaySpec::default);
        let mut desired =
            Self { gateway: &NO_GATEWAY, services: Vec::new(), prefilters: Vec::new() };
        for (_, entry) in objects.iter() {
            match &*entry.object {
                Object::Gateway(gateway) => desired.gateway = &gateway.spec,
                Object::Service(service) => {
                    desired.services.push((&entry.object, (service.name(), &service.spec)));
                }
                Object::Prefilter(prefilter) => {
                    desired.prefilters.push((&entry.object, &prefilter.spec));
                }
            }
        }
        desired
    }

    /// Whether the state was planned from the same services. Both are in the order of names.
    fn is_planned(&self, state: &State) -> bool {
        self.services.len() == state.services.len()
            && self.services.iter().zip(&state.services).all(
                |((object, (name, _)), (known, service))| {
                    let inputs = service.inputs.as_ref();
                    *name == known
                        && inputs.is_some_and(|inputs| Arc::ptr_eq(&inputs.object, object))
                },
            )
    }
}

fn plan_services(
    wanted: &Desired,
    pools: &PoolRecords,
    surroundings: &Surroundings,
    next: &mut State,
    draft: &mut Draft,
) -> Result<(), Error> {
    for &(object, (name, spec)) in &wanted.services {
        let key = spec.nat_pool_name().and_then(|pool| Name::new(pool).ok());
        let pool = key.and_then(|pool| pools.get(&(pool, spec.address.is_ipv6())));
        let pool = pool.copied().unwrap_or(NO_POOL);
        let old = next.services.get(name);
        let new =
            service_plan::plan((object, spec), pool, old, surroundings, &mut next.indices, draft)?;
        if old.is_none_or(|old| !Arc::ptr_eq(old, &new)) {
            next.services.insert(name.clone(), new);
        }
    }
    Ok(())
}

/// Takes services out that are no longer wanted.
fn retire(wanted: &Desired, facts: &Facts, next: &mut State, draft: &mut Draft) {
    let names: HashSet<&Name> = wanted.services.iter().map(|(_, (name, _))| *name).collect();
    let gone: Vec<Name> =
        next.services.keys().filter(|name| !names.contains(name)).cloned().collect();
    for name in gone {
        if let Some(service) = next.services.remove(&name) {
            draft.names.insert(service.index, [0; 8]);
            draft.note(format_args!("Service/{name}"), "removed");
            next.retired.push(Retired::new(&service, facts.clock.tick, draft));
        }
    }
}

/// Forgets services that were removed long enough ago.
fn forget(facts: &Facts, next: &mut State, draft: &mut Draft) {
    let (done, waiting): (Vec<_>, Vec<_>) =
        std::mem::take(&mut next.retired).into_iter().partition(|retired| retired.is_done(facts));
    next.retired = waiting;
    for retired in done {
        retired.forget(next, facts, draft);
    }
}

impl Retired {
    /// Nothing is sent to its backends from now on.
    pub(crate) fn new(
        service: &crate::stages::service::state::ServiceState,
        since: u32,
        draft: &mut Draft,
    ) -> Arc<Self> {
        use sluice_datapath::abi::BackendFlags;
        for backend in service.backends.values() {
            let mut record = backend.record;
            record.flags.0 = record.flags.0 & !BackendFlags::RESOLVED | BackendFlags::DEAD;
            if record != backend.record {
                draft.lost_backends.insert(backend.id, record);
            }
        }
        Arc::new(Self { service: service.clone(), since })
    }

    fn is_done(&self, facts: &Facts) -> bool {
        let wait = service_plan::memory_ticks(&facts.clock, self.service.idle_ticks);
        let is_named = |id: u32| facts.nat_backends.as_ref().is_some_and(|ids| ids.contains(&id));
        facts.clock.since(self.since) > wait
            && !self.service.backends.values().any(|backend| is_named(backend.id))
    }

    fn forget(&self, next: &mut State, facts: &Facts, draft: &mut Draft) {
        let (service, clock) = (&self.service, &facts.clock);
        draft.lost_services.insert(service.index, Default::default());
        next.indices.services.release(service.index);
        for backend in service.backends.values() {
            draft.lost_backends.insert(backend.id, Default::default());
            next.indices.backends.release(backend.id);
        }
        next.indices.slots.release(service.slots.base, service.slot_count(), clock);
        let sources = service.source_region();
        next.indices.sources(service.sources.is_v6()).release(sources.first, sources.count, clock);
    }
}

/// What each address is wanted for.
fn addresses(wanted: &Desired, next: &State) -> BTreeMap<IpAddr, Wanted> {
    let mut addresses = BTreeMap::<IpAddr, Wanted>::new();
    for &(_, (name, spec)) in &wanted.services {
        let Some(service) = next.services.get(name) else { continue };
        addresses.entry(spec.address).or_default().claims.push(PortClaim {
            name: name.clone(),
            service: service.index,
            protocol: spec.protocol,
            ports: spec.port,
        });
    }
    for (address, number) in next.pools.numbers() {
        addresses.entry(address).or_default().nat = Some(number * NAT_INDICES_PER_ADDRESS);
    }
    addresses
}

/// Makes the tables large enough for what they shall hold.
fn need(next: &mut State, gateway: &GatewaySpec) {
    let (indices, addresses) = (&next.indices, &next.addresses);
    let sizes = &mut next.sizes;
    sizes.need(Table::Vip4, addresses.lines(false));
    sizes.need(Table::Vip6, addresses.lines(true));
    sizes.need_from(Table::PortRanges, addresses.ranges_end(), FIRST_RANGES);
    let services = indices.services.end();
    for table in [Table::Services, Table::ServiceNames, Table::ServiceCounts] {
        sizes.need_from(table, services, FIRST_SERVICES);
    }
    let slots = indices.slots.end();
    sizes.need_from(Table::Slots, slots, FIRST_SLOTS);
    sizes.need_from(Table::Moves, slots, FIRST_SLOTS);
    if services > 0 {
        let backends = indices.backends.end();
        sizes.need_from(Table::Backends, backends, FIRST_BACKENDS);
        sizes.need_from(Table::BackendCounts, backends, FIRST_BACKENDS);
        settings::need_capacity(&gateway.capacity, sizes);
    }
    sizes.need_from(Table::Sources4, indices.sources4.end(), FIRST_RANGES);
    sizes.need_from(Table::Sources6, indices.sources6.end(), FIRST_RANGES);
    let numbers = next.pools.end();
    sizes.need(Table::NatPool, numbers);
    sizes.need(Table::NatRecords, numbers * NAT_INDICES_PER_ADDRESS);
    sizes.need(Table::NatTags, numbers * (NAT_INDICES_PER_ADDRESS / NAT_WAYS as u32));
}
