//! The state of the whole.

use sluice_kernel::Result;
use sluice_model::Kind;
use sluice_model::status::HealthState;

use super::Engine;
use super::counters::{drops, traffic};
use super::views::object_id;
use crate::wire::{DirectoryStatus, ProblemItem, Status, Totals};

impl Engine {
    /// The state of the whole.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn status(&mut self) -> Result<Status> {
        self.cards.read_all_counters();
        let mut placements = self.traffic_by_place()?;
        // The host alone is what `traffic` says.
        if placements.len() == 1 {
            placements.clear();
        }
        let counts = self.counts()?;
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            revision: self.desired.revision,
            started: self.started,
            ready: self.readiness.borrow().ready,
            conditions: self.conditions.of_all(),
            directory: DirectoryStatus {
                path: self.directory.path().display().to_string(),
                problems: self.directory_problems.iter().map(ProblemItem::from).collect(),
            },
            gateway: self.desired.objects.gateway().is_some().then(|| self.gateway_status()),
            totals: self.totals(),
            traffic: traffic(&counts),
            placements,
            drops: drops(&counts),
        })
    }

    fn totals(&self) -> Totals {
        let mut totals = Totals { moving_slots: self.moving_slots(), ..Totals::default() };
        for service in self.desired.objects.services() {
            totals.services += 1;
            for backend in &service.spec.backends {
                totals.backends += 1;
                *match self.state_of(service, backend) {
                    HealthState::Up => &mut totals.backends_up,
                    HealthState::Down => &mut totals.backends_down,
                    HealthState::Unknown => &mut totals.backends_unknown,
                    HealthState::Draining => &mut totals.backends_draining,
                    HealthState::Disabled => &mut totals.backends_disabled,
                } += 1;
            }
        }
        let prefixes = self.desired.objects.prefilters();
        totals.prefixes =
            prefixes.map(|object| (object.spec.deny.len() + object.spec.allow.len()) as u64).sum();
        totals
    }

    /// States of each service that something changed of whether it can serve, and of the gateway whether its links work.
    pub(super) fn state_conditions(&mut self) {
        let objects = self.desired.objects.clone();
        for name in self.conditions.take_doubtful() {
            let id = object_id(Kind::Service, &name);
            let Some(service) = objects.get(&id).and_then(|entry| entry.object.as_service()) else {
                continue;
            };
            let states: Vec<_> =
                service.spec.backends.iter().map(|b| self.state_of(service, b)).collect();
            let up = states.iter().filter(|state| **state == HealthState::Up).count();
            let (reason, message) = match (up, states.len()) {
                (_, 0) => ("NoBackends", "the service has no backends".to_owned()),
                (0, all) => ("NoBackendUp", format!("none of {all} backends is up")),
                (up, all) if up < all => {
                    ("SomeBackendsUp", format!("{up} of {all} backends are up"))
                }
                (_, all) => ("AllBackendsUp", format!("all {all} backends are up")),
            };
            self.conditions.set(&id, "BackendsUp", up > 0, reason, message);
        }
        if let Some(gateway) = objects.gateway() {
            let id = object_id(Kind::Gateway, gateway.name());
            let troubles: Vec<_> = gateway
                .spec
                .links
                .iter()
                .filter_map(|link| {
                    self.links
                        .get(&link.name)?
                        .error
                        .clone()
                        .map(|trouble| (link.name.clone(), trouble))
                })
                .collect();
            match troubles.first() {
                None => {
                    let count = gateway.spec.links.len();
                    let message = format!("the datapath runs on all {count} links");
                    self.conditions.set(&id, "LinksAttached", true, "Attached", message);
                }
                Some((_, first)) => {
                    let all = troubles
                        .iter()
                        .map(|(name, trouble)| format!("{name}: {}", trouble.message));
                    let message = all.collect::<Vec<_>>().join("; ");
                    self.conditions.set(&id, "LinksAttached", false, first.reason, message);
                }
            }
        }
    }
}
