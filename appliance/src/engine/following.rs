//! What follows from a change of the desired objects, and from nothing else: it costs what the change concerns, however
//! much is desired.

use std::collections::HashSet;
use std::net::IpAddr;

use jiff::Timestamp;
use sluice_model::diff::Diff;
use sluice_model::objects::Objects;
use sluice_model::{BackendState, Kind, ObjectId, Service};

use super::Engine;
use super::views::key_of;
use crate::health::{BackendKey, Check, Verdict};
use crate::store::{Desired, Since};

/// The services of a change, as they are in a set of objects.
fn services_of<'a>(objects: &'a Objects, diff: &'a Diff) -> impl Iterator<Item = &'a Service> {
    concerned(diff).filter_map(|id| objects.get(id)?.object.as_service())
}

/// The services that a change adds, changes or removes.
fn concerned(diff: &Diff) -> impl Iterator<Item = &ObjectId> {
    let changed = diff.changed.iter().map(|change| &change.object);
    let all = diff.added.iter().chain(changed).chain(&diff.removed);
    all.filter(|id| id.kind == Kind::Service)
}

impl Engine {
    /// Makes the next hops known of the addresses that a change brings.
    pub(super) async fn want_hops_of(&mut self, desired: &Desired, diff: &Diff) {
        let services = services_of(&desired.objects, diff);
        let addresses: HashSet<IpAddr> = services
            .flat_map(|service| service.spec.backends.iter().map(|backend| backend.address))
            .collect();
        self.want_more_hops(addresses).await;
    }

    /// Since when the operator wants of each backend what he wants: from now on where that changes.
    pub(super) fn since_of(&self, desired: &Desired, diff: &Diff) -> Since {
        let mut since = self.since.clone();
        let mut before = std::collections::HashMap::new();
        for service in services_of(&self.desired.objects, diff) {
            for backend in &service.spec.backends {
                let key = key_of(service, backend);
                since.remove(&key);
                before.insert(key, backend.state);
            }
        }
        let now = Timestamp::now();
        for service in services_of(&desired.objects, diff) {
            for backend in &service.spec.backends {
                if backend.state == BackendState::Active {
                    continue;
                }
                let key = key_of(service, backend);
                let is_same = before.get(&key) == Some(&backend.state);
                let known = self.since.get(&key).copied().filter(|_| is_same);
                since.insert(key, known.unwrap_or(now));
            }
        }
        since
    }

    /// Makes a change the desired state, once it is in the tables.
    pub(super) fn put_in_force(&mut self, desired: Desired, diff: &Diff) {
        let before = std::mem::replace(&mut self.desired, desired);
        let objects = self.desired.objects.clone();
        let checks = |objects: &Objects| -> Vec<_> {
            services_of(objects, diff).flat_map(Check::of_service).collect()
        };
        let gone = checks(&before.objects).into_iter().map(|(key, _)| key);
        let wanted = checks(&objects);
        let keys: HashSet<BackendKey> = wanted.iter().map(|(key, _)| key.clone()).collect();
        for key in gone.filter(|key| !keys.contains(key)) {
            self.monitor.end(&key);
            self.maintenance.verdicts.remove(&key);
        }
        self.monitor.begin(wanted, |_| Verdict::Unknown);
        self.note_verdicts(keys);
        for id in concerned(diff) {
            self.planning.forget_health(&id.name);
            self.conditions.doubt(&id.name);
        }
        for id in &diff.removed {
            self.conditions.forget(id);
        }
        self.state_conditions();
        // Health checks may know more than the plan did, and what was removed is not needed any more.
        self.dirty.plan = true;
    }

    /// Makes the monitor probe all that the configuration in force says. New checks begin with what `known` says.
    pub(super) fn set_checks(&mut self, known: impl Fn(&BackendKey) -> Verdict) {
        let objects = self.desired.objects.clone();
        let checks: Vec<_> = objects.services().flat_map(Check::of_service).collect();
        let keys: HashSet<_> = checks.iter().map(|(key, _)| key.clone()).collect();
        self.monitor.set(checks, known);
        self.maintenance.verdicts.retain(|key, _| keys.contains(key));
        self.note_verdicts(keys);
        objects.services().for_each(|service| self.conditions.doubt(service.name()));
    }

    fn note_verdicts(&mut self, keys: HashSet<BackendKey>) {
        for key in keys {
            if let Some(report) = self.monitor.report(&key) {
                self.maintenance.verdicts.entry(key).or_insert(report.verdict);
            }
        }
    }

    /// All addresses that packets are, or would be, sent to.
    pub(super) fn destinations(&self, objects: &Objects) -> HashSet<IpAddr> {
        let wanted = objects
            .services()
            .flat_map(|service| service.spec.backends.iter().map(|backend| backend.address));
        wanted.chain(self.planning.state.destinations()).collect()
    }
}
