//! A change of the desired objects: all of it takes effect, or nothing.

use std::collections::HashSet;
use std::net::IpAddr;

use sluice_model::objects::Objects;
use sluice_model::{LinkName, Policy, Problem};
use sluice_planner::Plan;
use tracing::{info, warn};

use super::planning::PlanError;
use super::views::key_of;
use super::{ChangeError, Engine};
use crate::event::{Event, EventKind, Severity};
use crate::health::{BackendKey, Check, Verdict};
use crate::store::{Change, Desired, Proposal, Refusal, Snapshot};
use crate::wire::Applied;

impl From<PlanError> for ChangeError {
    fn from(error: PlanError) -> Self {
        match error {
            PlanError::Impossible(error) => Self::Unplannable(vec![problem(&error)]),
            PlanError::Kernel(error) => Self::Kernel(error),
        }
    }
}

/// The planner says `Service/web: spec.port: what is wrong; the way out`.
fn problem(error: &sluice_planner::Error) -> Problem {
    let text = error.to_string();
    let (text, hint) = match text.rsplit_once("; ") {
        Some((text, hint)) => (text.to_owned(), Some(hint.to_owned())),
        None => (text, None),
    };
    let mut parts = text.splitn(3, ": ");
    let mut problem = match (parts.next(), parts.next(), parts.next()) {
        (Some(object), Some(field), Some(message)) if field.starts_with("spec.") => {
            let mut problem = Problem::new(message);
            (problem.object, problem.field) = (Some(object.to_owned()), Some(field.to_owned()));
            problem
        }
        _ => Problem::new(text.clone()),
    };
    problem.hint = hint;
    problem
}

impl Engine {
    /// Makes a change take effect: propose, plan, write down, program, and only then put in force.
    pub(super) async fn change(
        &mut self,
        change: Change,
        dry_run: bool,
    ) -> Result<Applied, ChangeError> {
        let origin = change.origin();
        let result = self.try_change(change, dry_run).await;
        match &result {
            Err(error) if !dry_run => self.tell_refusal(error, origin),
            _ => {}
        }
        result
    }

    async fn try_change(&mut self, change: Change, dry_run: bool) -> Result<Applied, ChangeError> {
        let origin = change.origin();
        let proposal = self.desired.propose(change)?;
        let Proposal { desired, diff } = proposal;
        if diff.is_empty() && !dry_run {
            // Places in files may have changed all the same.
            self.desired = desired;
            return Ok(Applied { revision: self.desired.revision, dry_run, diff, plan: None });
        }
        let mut destinations = self.destinations(&desired.objects);
        destinations.extend(self.hops.wanted());
        self.want_hops(&destinations).await;
        self.maintenance.has_spare_hops = true;
        let is_demanding = origin != "directory";
        if is_demanding {
            self.await_required_cards(&desired.objects).await;
        }
        if dry_run {
            let mut plan = self.plan(&desired.objects)?;
            if is_demanding {
                self.refuse_impossible(&desired.objects, &plan)?;
            }
            let cards = self.plan_cards(&desired.objects, &plan)?;
            plan.placements.clone_from(&cards.placements);
            let view = self.view_of(&plan, &cards, desired.revision);
            return Ok(Applied { revision: desired.revision, dry_run, diff, plan: Some(view) });
        }
        // Whoever asks for a link gets an answer; a file stays and is tried again.
        let strict = match origin {
            "directory" => HashSet::new(),
            _ => changed_links(&self.desired.objects, &desired.objects),
        };
        let since = self.since_of(&desired);
        let snapshot = Snapshot { desired: desired.clone(), since: since.clone() };
        self.cards.set_patient(is_demanding && requires_cards(&desired.objects));
        let changed = self.take_effect(&desired, &snapshot, &strict, is_demanding);
        self.cards.set_patient(false);
        let changed = match changed {
            Ok(changed) => changed,
            Err(error) => return Err(self.undo(error)),
        };
        self.since = since;
        self.put_in_force(desired);
        self.log.push(
            Event::new(
                EventKind::ConfigApplied,
                Severity::Info,
                format!("revision {} is in force", self.revision()),
            )
            .with("revision", self.revision())
            .with("origin", origin)
            .with("added", diff.added.iter().map(ToString::to_string).collect::<Vec<_>>())
            .with(
                "changed",
                diff.changed.iter().map(|change| change.object.to_string()).collect::<Vec<_>>(),
            )
            .with("removed", diff.removed.iter().map(ToString::to_string).collect::<Vec<_>>()),
        );
        info!(revision = self.revision(), origin, entries = changed, "configuration applied");
        Ok(Applied { revision: self.revision(), dry_run, diff, plan: None })
    }

    /// Writes down, programs, keeps; how many entries of tables changed. After an error some of it may be done.
    fn take_effect(
        &mut self,
        desired: &Desired,
        snapshot: &Snapshot,
        strict: &HashSet<LinkName>,
        is_demanding: bool,
    ) -> Result<u64, ChangeError> {
        let prepared = self.file.prepare(snapshot)?;
        // Before anything else: a link that cannot be used is the most likely reason to go back.
        self.try_links(&desired.objects, strict)?;
        let plan = self.plan(&desired.objects)?;
        if is_demanding {
            self.refuse_impossible(&desired.objects, &plan)?;
        }
        let changed = self.program(&desired.objects, plan, strict)?;
        if is_demanding {
            self.place_required(&desired.objects)?;
        }
        prepared.commit()?;
        Ok(changed)
    }

    /// Refuses what requires of a card what it is known not to do, before anything is written.
    fn refuse_impossible(&mut self, objects: &Objects, plan: &Plan) -> Result<(), ChangeError> {
        // Cards of links that the host's program is not on yet are judged afterwards.
        let is_there = |link: &LinkName| {
            self.links.get(link).is_some_and(|actual| actual.attachment.is_some())
        };
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        let all_there = links.iter().all(|link| is_there(&link.name));
        if all_there { refuse_unmet(&self.plan_cards(objects, plan)?.refused) } else { Ok(()) }
    }

    /// Puts on cards what is required there, which can only be done once the host's programs are on their links.
    fn place_required(&mut self, objects: &Objects) -> Result<(), ChangeError> {
        if !self.planning.unmet.is_empty() {
            // With the host's programs on the links, the cards may do it.
            let plan = self.plan(objects)?;
            self.program(objects, plan, &HashSet::new())?;
        }
        refuse_unmet(&self.planning.unmet)?;
        match self.cards.loading().next().filter(|_| requires_cards(objects)) {
            None => Ok(()),
            Some((link, since)) => {
                let message = format!(
                    "the program for the card of {link} is still being loaded after {} s",
                    since.as_secs()
                );
                let hint = "say policy: prefer, so that the card is used when it is ready";
                Err(ChangeError::Unplannable(vec![Problem::new(message).with_hint(hint)]))
            }
        }
    }

    fn put_in_force(&mut self, desired: Desired) {
        self.desired = desired;
        self.planning.forget_all_health();
        self.set_checks(|_| Verdict::Unknown);
        self.state_conditions();
        // Health checks may know more than the plan did, and what was removed is not needed any more.
        self.dirty.plan = true;
    }

    /// Makes the monitor probe what the configuration in force says. New checks begin with what `known` says.
    pub(super) fn set_checks(&mut self, known: impl Fn(&BackendKey) -> Verdict) {
        let checks: Vec<_> = self.desired.objects.services().flat_map(Check::of_service).collect();
        let keys: HashSet<_> = checks.iter().map(|(key, _)| key.clone()).collect();
        self.monitor.set(checks, known);
        let verdicts = &mut self.maintenance.verdicts;
        verdicts.retain(|key, _| keys.contains(key));
        for key in keys {
            if let Some(report) = self.monitor.report(&key) {
                verdicts.entry(key).or_insert(report.verdict);
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

    /// Since when the operator wants of each backend what he wants: from now on where that changes.
    fn since_of(&self, desired: &Desired) -> crate::store::Since {
        let mut wanted = std::collections::HashMap::new();
        for service in self.desired.objects.services() {
            wanted.extend(
                service
                    .spec
                    .backends
                    .iter()
                    .map(|backend| (key_of(service, backend), backend.state)),
            );
        }
        let now = jiff::Timestamp::now();
        let mut since = crate::store::Since::new();
        for service in desired.objects.services() {
            for backend in &service.spec.backends {
                let key = key_of(service, backend);
                let is_same = wanted.get(&key) == Some(&backend.state);
                let known = self.since.get(&key).copied().filter(|_| is_same);
                if backend.state != sluice_model::BackendState::Active {
                    since.insert(key, known.unwrap_or(now));
                }
            }
        }
        since
    }

    fn tell_refusal(&self, error: &ChangeError, origin: &'static str) {
        warn!(%error, origin, "configuration refused");
        let problems = match error {
            ChangeError::Refused(Refusal::Invalid(problems))
            | ChangeError::Unplannable(problems) => {
                problems.iter().map(ToString::to_string).collect()
            }
            other => vec![other.to_string()],
        };
        let message = format!("refused, nothing changed: {error}");
        let event = Event::new(EventKind::ConfigRefused, Severity::Error, message);
        self.log.push(event.with("origin", origin).with("problems", problems));
    }

    /// Reads the configuration directory and makes it take effect. What is wrong is told, and changes nothing.
    pub(super) async fn read_directory(&mut self) {
        let has_files = || {
            let mut entries = self.desired.objects.iter();
            entries.any(|(_, entry)| entry.source != sluice_model::objects::Source::Api)
        };
        let problems = match self.directory.read() {
            Ok(Some(files)) => match self.change(Change::Directory(files), false).await {
                Ok(_) => Vec::new(),
                Err(
                    ChangeError::Refused(Refusal::Invalid(problems))
                    | ChangeError::Unplannable(problems),
                ) => problems,
                Err(error) => vec![Problem::new(error.to_string())],
            },
            Ok(None) if has_files() => {
                let problem = Problem::new(format!(
                    "the directory {} is gone",
                    self.directory.path().display()
                ));
                vec![problem.with_hint(
                    "create it again; an empty one removes the objects that came from it",
                )]
            }
            Ok(None) => Vec::new(),
            Err(problems) => {
                self.tell_refusal(
                    &ChangeError::Refused(Refusal::Invalid(problems.clone())),
                    "directory",
                );
                problems
            }
        };
        self.directory_problems = problems;
        let (reason, message) = match self.directory_problems.first() {
            None => ("Read", format!("{} is in force", self.directory.path().display())),
            Some(first) => ("Broken", format!("the last good configuration holds: {first}")),
        };
        self.conditions.set_whole(
            "ConfigurationDirectory",
            self.directory_problems.is_empty(),
            reason,
            message,
        );
    }
}

/// Whether some stage has to be on a card.
fn requires_cards(objects: &Objects) -> bool {
    let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
    let mut pins = links.iter().flat_map(|link| &link.placements);
    pins.any(|pin| pin.policy == Policy::Require && pin.placement.is_on_card())
}

/// What is required of cards and not possible is an error.
fn refuse_unmet(unmet: &[sluice_planner::Error]) -> Result<(), ChangeError> {
    if unmet.is_empty() {
        return Ok(());
    }
    Err(ChangeError::Unplannable(unmet.iter().map(problem).collect()))
}

/// The links whose entry in the gateway differs.
fn changed_links(before: &Objects, after: &Objects) -> HashSet<LinkName> {
    let links = |objects: &Objects| {
        objects.gateway().map(|gateway| gateway.spec.links.clone()).unwrap_or_default()
    };
    let before = links(before);
    links(after).into_iter().filter(|link| !before.contains(link)).map(|link| link.name).collect()
}
