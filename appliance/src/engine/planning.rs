//! Facts for the planner, and the state that it plans from.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use sluice_datapath::abi::{PREFILTER_MASKS4, PREFILTER_MASKS6};
use sluice_kernel::{Datapath, TableStore, XdpMode, tables};
use sluice_model::objects::Objects;
use sluice_model::{BackendState, Name, Service};
use sluice_planner::card::CardsPlan;
use sluice_planner::facts::{
    BackendFacts, Endpoint, Health, LinkFacts, ProgramFacts, ServiceFacts,
};
use sluice_planner::stages::service::state::Condition;
use sluice_planner::{
    Clock, Error, Facts, LinkPlacement, Plan, Sizes, SlotWords, Snapshot, State, TableWords, plan,
};

use super::Engine;
use super::views::key_of;
use crate::health::{BackendKey, Monitor, Verdict};
use crate::wire::Supposition;

/// What plans are made from. Facts that did not change stay the same `Arc`: what depends on them is not computed again.
#[derive(Debug)]
pub(super) struct Planning {
    /// What the tables hold.
    pub(super) state: State,
    /// Where the stages run, by the last plan.
    pub(super) placements: Vec<LinkPlacement>,
    /// What the operator requires of cards and cannot have.
    pub(super) unmet: Vec<Error>,
    /// What the last plan said.
    pub(super) told: HashSet<String>,
    services: Arc<HashMap<Name, Arc<ServiceFacts>>>,
    nat_backends: Option<Arc<HashSet<u32>>>,
    cpus: u32,
}

impl Planning {
    /// Begins with what the tables hold.
    pub(super) fn new(state: State) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u32);
        Self {
            state,
            placements: Vec::new(),
            unmet: Vec::new(),
            told: HashSet::new(),
            services: Arc::default(),
            nat_backends: None,
            cpus,
        }
    }

    /// What is known of a service's backends changed.
    pub(super) fn forget_health(&mut self, service: &Name) {
        if self.services.contains_key(service) {
            Arc::make_mut(&mut self.services).remove(service);
        }
    }

    /// Nothing that was gathered is certain.
    pub(super) fn forget_all_health(&mut self) {
        self.services = Arc::default();
    }

    /// The backends that have translated flows.
    pub(super) fn set_nat_backends(&mut self, backends: Option<HashSet<u32>>) {
        if self.nat_backends.as_deref() != backends.as_ref() {
            self.nat_backends = backends.map(Arc::new);
        }
    }

    /// What is known of the backends of these services: gathered where it is not known from the last time.
    fn service_facts<'a>(
        &mut self,
        services: impl Iterator<Item = &'a Service>,
        monitor: &Monitor,
        drains: &dyn Fn(&BackendKey) -> Option<u32>,
    ) -> Arc<HashMap<Name, Arc<ServiceFacts>>> {
        let unknown = services.filter(|service| !self.services.contains_key(service.name()));
        let unknown: Vec<_> = unknown.collect();
        let read = |service: &Service| -> Arc<ServiceFacts> {
            let of = |backend: &sluice_model::Backend| {
                let key = key_of(service, backend);
                let health =
                    monitor.report(&key).map_or(Health::Unknown, |report| health(report.verdict));
                let is_draining = backend.state == BackendState::Drain;
                let facts =
                    BackendFacts { health, draining_since: drains(&key).filter(|_| is_draining) };
                (Endpoint::of(&service.spec, backend), facts)
            };
            Arc::new(service.spec.backends.iter().map(of).collect())
        };
        if !unknown.is_empty() {
            let gathered =
                unknown.into_iter().map(|service| (service.name().clone(), read(service)));
            Arc::make_mut(&mut self.services).extend(gathered);
        }
        Arc::clone(&self.services)
    }
}

const fn health(verdict: Verdict) -> Health {
    match verdict {
        Verdict::Unknown => Health::Unknown,
        Verdict::Up => Health::Up,
        Verdict::Down => Health::Down,
    }
}

/// What the tables say of a backend that an earlier daemon probed.
pub(super) fn known_verdict(state: &State, key: &BackendKey) -> Verdict {
    let service = state.service(key.service.as_str());
    let backend = service.and_then(|service| {
        let at = |port| service.backends.get(&Endpoint { address: key.address, port });
        key.port.and_then(|port| at(port.get())).or_else(|| at(0))
    });
    match backend.map(|backend| backend.condition) {
        Some(Condition::Serving | Condition::Weightless | Condition::Draining) => Verdict::Up,
        Some(Condition::Down) => Verdict::Down,
        _ => Verdict::Unknown,
    }
}

/// The words of the slots as they are now.
pub(super) fn slot_words(store: &dyn TableStore) -> SlotWords<'_> {
    SlotWords {
        slots: store.words(tables::SLOTS.table()),
        moves: store.words(tables::MOVES.table()),
    }
}

/// The state that the tables tell.
pub(super) fn read_state(datapath: &dyn Datapath) -> sluice_kernel::Result<State> {
    let store = datapath.tables();
    let store = &*store;
    let control = store.view(tables::PF_CONTROL).read(0);
    let (active4, active6) = (control.active4.get() & 1, control.active6.get() & 1);
    let header4 = store.view(tables::PF4_HEADER).read(active4);
    let header6 = store.view(tables::PF6_HEADER).read(active6);
    debug_assert!(
        header4.lengths as usize <= PREFILTER_MASKS4
            && header6.lengths as usize <= PREFILTER_MASKS6
    );
    let lines = |lengths: u32, mask: u32| if lengths == 0 { 0 } else { mask + 1 };
    let snapshot = Snapshot {
        sizes: planner_sizes(&datapath.sizes()),
        services: store.view(tables::SERVICES).iter().collect(),
        names: store.view(tables::SERVICE_NAMES).iter().map(|name| name.0).collect(),
        backends: store.view(tables::BACKENDS).iter().collect(),
        vip4: store.view(tables::VIP4).iter().collect(),
        vip6: store.view(tables::VIP6).iter().collect(),
        sources4: store.view(tables::SOURCES4).iter().collect(),
        sources6: store.view(tables::SOURCES6).iter().collect(),
        port_ranges: store.view(tables::PORT_RANGES).iter().collect(),
        nat_pool: store.view(tables::NAT_POOL).iter().collect(),
        prefilter4: (active4, lines(header4.lengths, header4.mask)),
        prefilter6: (active6, lines(header6.lengths, header6.mask)),
    };
    Ok(State::take_over(snapshot, slot_words(store), &clock(datapath)?))
}

pub(super) fn planner_sizes(sizes: &sluice_kernel::Sizes) -> Sizes {
    sizes.iter().collect()
}

pub(super) fn kernel_sizes(sizes: &Sizes) -> sluice_kernel::Sizes {
    sizes.iter().collect()
}

fn clock(datapath: &dyn Datapath) -> sluice_kernel::Result<Clock> {
    Ok(Clock {
        tick: datapath.now()?,
        tick_duration: datapath.tick_duration(),
        tick_shift: datapath.tick_shift(),
    })
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    #[error(transparent)]
    Impossible(#[from] Error),
    #[error(transparent)]
    Kernel(#[from] sluice_kernel::Error),
}

impl Engine {
    /// What is to be done so that the datapath does what these objects want.
    pub(super) fn plan(&mut self, objects: &Objects) -> Result<Plan, PlanError> {
        let facts = self.facts(objects)?;
        let store = self.datapath.tables();
        let words = TableWords::of(|table| store.words(table));
        Ok(plan(objects, &facts, &self.planning.state, words)?)
    }

    /// What shall be on the cards once a plan is carried out.
    pub(super) fn plan_cards(
        &mut self,
        objects: &Objects,
        plan: &Plan,
    ) -> sluice_kernel::Result<CardsPlan> {
        let facts = self.facts(objects)?;
        let store = self.datapath.tables();
        Ok(self.cards.plan(objects, &facts, plan, slot_words(&*store)))
    }

    /// The same if cards could do something else: one of a link, or all.
    pub(super) fn suppose(
        &mut self,
        objects: &Objects,
        plan: &Plan,
        supposed: Supposition,
    ) -> sluice_kernel::Result<CardsPlan> {
        let facts = self.facts(objects)?;
        let store = self.datapath.tables();
        Ok(self.cards.suppose(objects, &facts, plan, slot_words(&*store), supposed))
    }

    fn facts(&mut self, objects: &Objects) -> sluice_kernel::Result<Facts> {
        let clock = clock(&*self.datapath)?;
        let now = Timestamp::now();
        let (since, monitor) = (&self.since, &self.monitor);
        let drains = |key: &BackendKey| {
            let age = now.duration_since(*since.get(key)?).unsigned_abs();
            Some(clock.tick.wrapping_sub(clock.ticks(age)))
        };
        let services = self.planning.service_facts(objects.services(), monitor, &drains);
        Ok(Facts {
            clock,
            cpus: self.planning.cpus,
            links: self.link_facts(objects)?,
            ways: self.hops.ways(),
            services,
            nat_backends: self.planning.nat_backends.clone(),
        })
    }

    fn link_facts(&self, objects: &Objects) -> sluice_kernel::Result<BTreeMap<String, LinkFacts>> {
        let attached: BTreeMap<_, _> = self
            .datapath
            .attached()?
            .into_iter()
            .map(|attachment| (attachment.link.ifindex, attachment))
            .collect();
        let configured = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        let is_configured = |name: &str| configured.iter().any(|link| link.name == *name);
        let mut facts = BTreeMap::new();
        for link in self.hops.links() {
            let attachment = attached.get(&link.ifindex);
            if attachment.is_none() && !is_configured(&link.name) {
                continue;
            }
            let program = attachment.map(|attachment| ProgramFacts {
                is_native: attachment.mode == XdpMode::Native,
                settings: attachment.settings,
                is_current: attachment.current,
            });
            let fact = LinkFacts {
                ifindex: link.ifindex,
                mtu: link.mtu,
                has_vlans: self.hops.has_vlans(link.ifindex),
                program,
                native_refused: attachment.and_then(|attachment| attachment.why.clone()),
            };
            facts.insert(link.name.clone(), fact);
        }
        Ok(facts)
    }
}

/// The tables of a gateway that has nothing to do.
pub fn smallest_sizes() -> sluice_kernel::Sizes {
    kernel_sizes(&Sizes::smallest())
}
