//! Who takes new flows, who keeps those it has, who is gone.

use sluice_model::{BackendState as AdminState, HealthType, NoBackend, ServiceSpec};
use std::collections::BTreeMap;

use super::state::{BackendState, Condition};
use crate::{
    Clock,
    facts::{BackendFacts, Endpoint, Health, ServiceFacts},
};

/// What becomes of one backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it does.
    pub condition: Condition,
    /// Its weight; zero of those that were removed.
    pub weight: u32,
    /// Tick in which it began to drain or was removed.
    pub leaving: Option<u32>,
    /// It is no longer in the configuration.
    pub is_removed: bool,
}

/// Decides for all backends of a service, those included that were removed and may still have flows.
pub fn decide(
    spec: &ServiceSpec,
    known: &BTreeMap<Endpoint, BackendState>,
    facts: Option<&ServiceFacts>,
    clock: &Clock,
) -> BTreeMap<Endpoint, Decision> {
    let drain_ticks = clock.ticks(spec.drain_timeout.as_duration());
    let expires = |leaving| {
        let is_over = clock.since(leaving) >= drain_ticks;
        if is_over { Condition::Expired } else { Condition::Draining }
    };
    let mut decisions = BTreeMap::new();
    for backend in &spec.backends {
        let endpoint = Endpoint::of(spec, backend);
        let facts = facts.and_then(|facts| facts.get(&endpoint)).copied().unwrap_or_default();
        let old = known.get(&endpoint);
        let mut leaving = None;
        let condition = match (backend.state, health(spec, &facts)) {
            (AdminState::Disabled, _) => Condition::Disabled,
            (_, Health::Down) => Condition::Down,
            (AdminState::Drain, _) => {
                let heard = old.and_then(|old| old.leaving);
                let since = facts.draining_since.or(heard).unwrap_or(clock.tick);
                leaving = Some(since);
                expires(since)
            }
            (AdminState::Active, _) if backend.weight.get() == 0 => Condition::Weightless,
            (AdminState::Active, Health::Up) => Condition::Serving,
            // Until its first probe is done, what was known before holds.
            (AdminState::Active, Health::Unknown) => match old.map(|old| old.condition) {
                Some(known @ (Condition::Serving | Condition::Down)) => known,
                _ => Condition::Waiting,
            },
        };
        if backend.state == AdminState::Drain && leaving.is_none() {
            leaving = old.and_then(|old| old.leaving).or(Some(clock.tick));
        }
        let weight = u32::from(backend.weight.get());
        decisions.insert(endpoint, Decision { condition, weight, leaving, is_removed: false });
    }
    if !decisions.values().any(|decision| decision.condition == Condition::Serving) {
        substitute(spec, &mut decisions);
    }
    for (endpoint, old) in known {
        decisions.entry(*endpoint).or_insert_with(|| {
            let since = old.leaving.unwrap_or(clock.tick);
            let condition = if old.condition.is_gone() { old.condition } else { expires(since) };
            Decision { condition, weight: 0, leaving: Some(since), is_removed: true }
        });
    }
    decisions
}

fn health(spec: &ServiceSpec, facts: &BackendFacts) -> Health {
    if spec.health.check == HealthType::None { Health::Up } else { facts.health }
}

/// Who serves where nobody is known to be able: those that nothing is known of, else, if so wished, those that are
/// said to be down.
fn substitute(spec: &ServiceSpec, decisions: &mut BTreeMap<Endpoint, Decision>) {
    let mut promote = |from: Condition| {
        let mut promoted = false;
        for backend in &spec.backends {
            if backend.state == AdminState::Active
                && backend.weight.get() > 0
                && let Some(decision) = decisions.get_mut(&Endpoint::of(spec, backend))
                && decision.condition == from
            {
                decision.condition = Condition::Serving;
                promoted = true;
            }
        }
        promoted
    };
    if !promote(Condition::Waiting) && spec.no_backend == NoBackend::KeepAll {
        promote(Condition::Down);
    }
}
