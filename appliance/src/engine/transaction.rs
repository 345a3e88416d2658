//! A change of the desired objects: all of it takes effect, or nothing.

use std::collections::HashSet;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use sluice_model::objects::{Objects, Source};
use sluice_model::{Diff, LinkName, ObjectId, Parsed, Policy, Problem};
use sluice_planner::Plan;
use sluice_planner::card::CardsPlan;
use tracing::{info, warn};

use super::confirming::Waiting;
use super::planning::PlanError;
use super::{ChangeError, Engine};
use crate::event::{Event, EventKind, Severity};
use crate::store::{
    Author, Change, Desired, Order, Pended, Pending, Proposal, Refusal, Write, new_revision,
};
use crate::wire::{Applied, ConfirmationState, Revision, RevisionOrigin};

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
    pub(super) async fn change(&mut self, order: Order) -> Result<Applied, ChangeError> {
        let (origin, dry_run) = (order.change.origin(), order.dry_run);
        let result = self.try_change(order).await;
        match &result {
            Err(error) if !dry_run => self.tell_refusal(error, origin.as_str()),
            _ => {}
        }
        result
    }

    /// The same without a word about refusals.
    pub(super) async fn try_change(&mut self, order: Order) -> Result<Applied, ChangeError> {
        Refusal::check_confirm_seconds(order.confirm_seconds)?;
        if order.to_candidate {
            return self.edit_candidate(order);
        }
        let Order { change, dry_run, .. } = &order;
        let (dry_run, is_return) = (*dry_run, matches!(change, Change::Return));
        let (origin, is_demanding) = (change.origin(), change.is_demanding());
        match &self.waiting {
            Some(waiting) if !is_return && !dry_run => return Err(waiting.refusal().into()),
            None if is_return => return Err(Refusal::NothingPending.into()),
            _ => {}
        }
        let paper = Paper::of(&order, self.waiting.as_ref());
        let Order { change, accept_warnings, session, connection, role, .. } = order;
        if !dry_run {
            self.store.mend()?;
        }
        let proposal = self.proposal(change, &paper.author.name);
        if matches!(proposal, Err(ChangeError::State(_))) {
            self.store.doubt();
        }
        let Proposal { desired, diff } = proposal?;
        // What a candidate, a rollback or a backup changes is known only now.
        if !dry_run {
            Refusal::check_role(role, &diff)?;
        }
        let warnings = self.warnings(&desired, session);
        if !dry_run && !warnings.is_empty() && !accept_warnings {
            return Err(Refusal::Warned(warnings).into());
        }
        if diff.is_empty() && !dry_run {
            self.note_no_change(&paper)?;
            // Places in files may have changed all the same.
            self.desired = desired;
            return Ok(Applied { revision: self.desired.revision, diff, ..Applied::default() });
        }
        self.want_hops_of(&desired, &diff).await;
        self.maintenance.has_spare_hops = true;
        if is_demanding {
            self.await_required_cards(&desired.objects).await;
        }
        if dry_run {
            let tried = self.try_plan(&desired.objects, is_demanding);
            // Of services that were only supposed, nothing is remembered.
            diff.added.iter().for_each(|id| self.planning.forget_health(&id.name));
            let (mut plan, cards) = tried?;
            plan.placements.clone_from(&cards.placements);
            let plan = Some(self.view_of(&plan, &cards, desired.revision));
            let revision = desired.revision;
            return Ok(Applied { revision, dry_run, diff, warnings, plan, ..Applied::default() });
        }
        // Whoever asks for a link gets an answer; a file stays and is tried again.
        let strict = if is_demanding {
            changed_links(&self.desired.objects, &desired.objects)
        } else {
            HashSet::new()
        };
        let (before, since_before) = (self.desired.clone(), self.since.clone());
        let since = self.since_of(&desired, &diff);
        let record = paper.revision(desired.revision, &diff);
        let pending = paper.pending(desired.revision, before.revision);
        let write = Write {
            before: &before,
            after: &desired,
            since: (&since_before, &since),
            revision: Some((&record, &diff)),
            pending: paper.pended(pending.as_ref()),
            directory: paper.directory.as_deref(),
            candidate_of: paper.candidate_of(),
        };
        self.cards.set_patient(is_demanding && requires_cards(&desired.objects));
        let changed = self.take_effect(&desired, &write, &strict, is_demanding);
        self.cards.set_patient(false);
        let changed = match changed {
            Ok(changed) => changed,
            Err(error) => return Err(self.undo(error)),
        };
        self.since = since;
        self.put_in_force(desired, &diff);
        self.file_away(&paper, pending.map(|pending| Waiting::begin(pending, connection)));
        self.tell_applied(&record, &diff);
        info!(
            revision = self.revision(),
            origin = origin.as_str(),
            entries = changed,
            "configuration applied"
        );
        let pending = self.waiting.as_ref().map(Waiting::shown);
        Ok(Applied { revision: self.revision(), diff, warnings, pending, ..Applied::default() })
    }

    /// Where everything would run.
    fn try_plan(
        &mut self,
        objects: &Objects,
        is_demanding: bool,
    ) -> Result<(Plan, CardsPlan), ChangeError> {
        let plan = self.plan(objects)?;
        if is_demanding {
            self.refuse_impossible(objects, &plan)?;
        }
        let cards = self.plan_cards(objects, &plan)?;
        Ok((plan, cards))
    }

    /// What would be after a change.
    fn proposal(&self, change: Change, editor: &str) -> Result<Proposal, ChangeError> {
        let earlier = |revision| Ok(self.desired.becoming(self.objects_of(revision)?)?);
        match change {
            Change::Candidate => Ok(self.committable(editor)?),
            Change::Rollback { to } => earlier(to),
            Change::Return => {
                let waiting = self.waiting.as_ref().ok_or(Refusal::NothingPending)?;
                earlier(waiting.pending.returns_to)
            }
            change => Ok(self.desired.propose(change)?),
        }
    }

    /// Writes down what a change means that changes no object.
    fn note_no_change(&mut self, paper: &Paper) -> Result<(), ChangeError> {
        let says_nothing = paper.directory.is_none() || paper.directory == self.directory_said;
        if says_nothing && paper.candidate_of().is_none() && paper.returns.is_none() {
            return Ok(());
        }
        self.store.put(&Write {
            before: &self.desired,
            after: &self.desired,
            since: (&self.since, &self.since),
            revision: None,
            pending: paper.pended(None),
            directory: paper.directory.as_deref(),
            candidate_of: paper.candidate_of(),
        })?;
        self.file_away(paper, None);
        Ok(())
    }

    /// Takes notice of what was written down.
    fn file_away(&mut self, paper: &Paper, waiting: Option<Waiting>) {
        if let Some(said) = &paper.directory {
            self.directory_said = Some(said.clone());
        }
        if let Some(editor) = paper.candidate_of() {
            self.candidates.remove(editor);
        }
        self.waiting = waiting;
    }

    fn tell_applied(&self, record: &Revision, diff: &Diff) {
        let number = record.revision;
        let (kind, severity, message) = match (&self.waiting, record.origin, record.same_as) {
            (Some(waiting), _, _) => {
                let Pending { seconds, returns_to, .. } = &waiting.pending;
                let message = format!(
                    "revision {number} is in force; revision {returns_to} returns unless it is confirmed within {seconds} s"
                );
                (EventKind::ConfigPending, Severity::Warning, message)
            }
            (None, RevisionOrigin::NotConfirmed, Some(earlier)) => {
                let message = format!(
                    "revision {number} is in force, with the objects of revision {earlier}"
                );
                (EventKind::ConfigReturned, Severity::Warning, message)
            }
            _ => {
                let message = format!("revision {number} is in force");
                (EventKind::ConfigApplied, Severity::Info, message)
            }
        };
        let names = |ids: &[ObjectId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let changed: Vec<_> = diff.changed.iter().map(|change| change.object.clone()).collect();
        self.log.push(
            Event::new(kind, severity, message)
                .with("revision", number)
                .with("origin", record.origin.as_str())
                .with("author", &record.author[..])
                .with("source", &record.source[..])
                .with("added", names(&diff.added))
                .with("changed", names(&changed))
                .with("removed", names(&diff.removed)),
        );
    }

    /// Writes down, programs, keeps; how many entries of tables changed. After an error some of it may be done.
    fn take_effect(
        &mut self,
        desired: &Desired,
        write: &Write<'_>,
        strict: &HashSet<LinkName>,
        is_demanding: bool,
    ) -> Result<u64, ChangeError> {
        let prepared = self.store.prepare(write)?;
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
        prepared.commit().inspect_err(|_| self.store.doubt())?;
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

    pub(super) fn tell_refusal(&self, error: &ChangeError, origin: &'static str) {
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

    /// Whether what files say is in force already. If it is, their places are taken notice of.
    fn is_in_force(&mut self, files: Vec<(Parsed, Source)>) -> bool {
        match self.desired.propose(Change::Directory(files)) {
            Ok(Proposal { desired, diff }) if diff.is_empty() => {
                self.desired = desired;
                true
            }
            _ => false,
        }
    }

    /// Makes what files say take effect; what is wrong with it.
    async fn follow_directory(
        &mut self,
        files: Vec<(Parsed, Source)>,
        said: String,
    ) -> Vec<Problem> {
        let order = Order {
            author: Author::local("directory"),
            directory: Some(said),
            ..Order::local(Change::Directory(files))
        };
        match self.change(order).await {
            Ok(_) => Vec::new(),
            Err(
                ChangeError::Refused(Refusal::Invalid(problems))
                | ChangeError::Unplannable(problems),
            ) => problems,
            Err(error) => vec![Problem::new(error.to_string())],
        }
    }

    /// Reads the configuration directory and makes it take effect. What is wrong is told, and changes nothing.
    pub(super) async fn read_directory(&mut self) {
        let has_files = || {
            let mut entries = self.desired.objects.iter();
            entries.any(|(_, entry)| entry.source != Source::Api)
        };
        self.directory_waits = false;
        let mut rolled_back = false;
        let problems = match self.directory.read() {
            Ok(Some(files)) => {
                let said = said(&files);
                if Some(&said) == self.directory_said.as_ref() {
                    rolled_back = !self.is_in_force(files);
                    Vec::new()
                } else if self.waiting.is_some() {
                    self.directory_waits = true;
                    Vec::new()
                } else {
                    self.follow_directory(files, said).await
                }
            }
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
        let path = self.directory.path().display();
        let (reason, message) = match self.directory_problems.first() {
            None if self.directory_waits => {
                ("Waiting", format!("{path} is read when the last commit is confirmed or returned"))
            }
            None if rolled_back => (
                "RolledBack",
                format!(
                    "{path} says something else than what was rolled back to; it is in force again when it changes"
                ),
            ),
            None => ("Read", format!("{path} is in force")),
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

/// What a change leaves in the books besides its objects.
struct Paper {
    author: Author,
    message: Option<String>,
    origin: RevisionOrigin,
    same_as: Option<u64>,
    confirm_seconds: Option<u32>,
    directory: Option<String>,
    /// The revision that is not confirmed.
    returns: Option<u64>,
}

impl Paper {
    fn of(order: &Order, waiting: Option<&Waiting>) -> Self {
        let origin = order.change.origin();
        let returns = waiting.filter(|_| matches!(order.change, Change::Return));
        let same_as = match order.change {
            Change::Rollback { to } => Some(to),
            _ => returns.map(|waiting| waiting.pending.returns_to),
        };
        Self {
            author: order.author.clone(),
            message: order.message.clone(),
            origin,
            same_as,
            confirm_seconds: order.confirm_seconds,
            directory: order.directory.clone(),
            returns: returns.map(|waiting| waiting.pending.revision),
        }
    }

    fn revision(&self, number: u64, diff: &Diff) -> Revision {
        let confirmation = self.confirm_seconds.map(|_| ConfirmationState::Pending);
        Revision {
            message: self.message.clone(),
            same_as: self.same_as,
            confirmation,
            ..new_revision(number, &self.author, self.origin, diff)
        }
    }

    fn pending(&self, revision: u64, returns_to: u64) -> Option<Pending> {
        let seconds = self.confirm_seconds?;
        let until = Timestamp::now() + SignedDuration::from_secs(seconds.into());
        Some(Pending { revision, returns_to, author: self.author.name.clone(), until, seconds })
    }

    fn pended<'a>(&self, begins: Option<&'a Pending>) -> Pended<'a> {
        match (begins, self.returns) {
            (Some(pending), _) => Pended::Begins(pending),
            (None, Some(revision)) => Pended::Ends(revision, ConfirmationState::Returned),
            (None, None) => Pended::Stays,
        }
    }

    /// The editor whose candidate it is.
    fn candidate_of(&self) -> Option<&str> {
        (self.origin == RevisionOrigin::Candidate).then_some(&self.author.name)
    }
}

/// All that files say, in few words: the same as long as they say the same.
fn said(files: &[(Parsed, Source)]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for (parsed, source) in files {
        context.update(source.to_string().as_bytes());
        // What JSON cannot hold is not in objects.
        context.update(&serde_json::to_vec(&parsed.object).unwrap_or_default());
    }
    HEXLOWER.encode(context.finish().as_ref())
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
