//! Writing what a plan says into the cards: before the host's tables change, and after it.

use sluice_kernel::{CardStep as KernelStep, Error, Result};
use sluice_planner::card::{CardPlan, CardProgram, CardsPlan, placement_of};
use sluice_profile::Hook;
use tracing::{info, warn};

use super::{OnCard, OnCards, convert, refusal::Trouble};
use crate::event::{Event, EventKind, EventLog, Severity};

/// What became of the additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::engine) struct Added {
    /// A card took smaller tables than were planned: plan again at once.
    pub(in crate::engine) is_smaller: bool,
    /// A card refused something: what is known of it changed.
    pub(in crate::engine) is_refused: bool,
}

impl Added {
    /// Whether a plan made now would be another one.
    pub(in crate::engine) const fn is_to_plan_again(self) -> bool {
        self.is_smaller || self.is_refused
    }
}

impl OnCards {
    /// Makes the cards forget what will not be true any more.
    ///
    /// # Errors
    /// When a card that may still run its program can neither forget nor be taken off: the host must not change.
    pub(in crate::engine) fn withdraw(&mut self, plan: &CardsPlan, log: &EventLog) -> Result<()> {
        for (link, card) in plan.cards.iter().filter(|(_, card)| !card.change.withdraw.is_empty()) {
            self.read_counters(link);
            let Some(setup) = &mut self.kernel else { continue };
            let Some(on_card) = self.links.get_mut(link) else { continue };
            let mut steps = card.change.withdraw.iter();
            let failed = steps.try_for_each(|step| {
                convert::write(&mut *setup.cards, on_card.ifindex, step)?;
                on_card.held.apply(step);
                Ok(())
            });
            if let Err(error) = failed {
                let hook = on_card.held.program.map_or(Hook::Xdp, |program| program.hook);
                self.degrade(link, hook, &error, log)?;
            }
        }
        Ok(())
    }

    /// Gives the cards what is true now. What a card refuses is not there, and told.
    pub(in crate::engine) fn add(&mut self, plan: &CardsPlan, log: &EventLog) -> Added {
        let mut added = Added::default();
        for (link, card) in &plan.cards {
            if !card.is_replaced && card.change.add.is_empty() {
                continue;
            }
            self.read_counters(link);
            match self.add_to(link, card) {
                Ok(true) => self.took(link, card, log),
                Ok(false) => {}
                Err(error) if self.learn(link, &error) => added.is_smaller = true,
                Err(error) => {
                    added.is_refused = true;
                    let program = card.next.program.or(self.program_on(link));
                    let hook = program.map_or(Hook::Xdp, |program| program.hook);
                    if self.has_kept(link, card, &error) {
                        let on_card = self.links.entry(link.clone()).or_default();
                        tell(link, on_card, hook, &error, log);
                    } else if let Err(second) = self.degrade(link, hook, &error, log) {
                        warn!(link, %second, "the card cannot be taken off; it is tried again");
                    }
                }
            }
        }
        self.drop_unwanted();
        added
    }

    /// Whether the card took it; not if its program is still being loaded.
    fn add_to(&mut self, link: &str, card: &CardPlan) -> Result<bool> {
        let wanted = card.next.program.filter(|_| card.is_replaced);
        let request = wanted.map(|program| convert::request(card.ifindex, program, &card.next));
        let mut loaded = None;
        if let Some(request) = &request {
            loaded = self.loaded(link, request)?;
            if loaded.is_none() {
                return Ok(false);
            }
        }
        let Some(setup) = &mut self.kernel else { return Ok(true) };
        let on_card = self.links.entry(link.to_owned()).or_default();
        match (card.is_replaced, request.zip(loaded)) {
            (false, _) => {
                for step in &card.change.add {
                    convert::write(&mut *setup.cards, card.ifindex, step)?;
                }
            }
            (true, None) => {
                let removed = setup.cards.remove(on_card.ifindex)?;
                self.counters.removed(link, &on_card.held, removed.as_ref());
            }
            (true, Some((request, loaded))) => {
                if on_card.ifindex != card.ifindex && on_card.held.program.is_some() {
                    setup.cards.remove(on_card.ifindex)?;
                }
                let placed = setup.cards.place_loaded(&request, loaded)?;
                self.counters.removed(link, &on_card.held, placed.before.as_ref());
            }
        }
        on_card.ifindex = card.ifindex;
        on_card.held = card.next.clone();
        Ok(true)
    }

    /// A card took what was planned.
    fn took(&mut self, link: &str, card: &CardPlan, log: &EventLog) {
        let Some(on_card) = self.links.get_mut(link) else { return };
        let Some(program) = card.next.program else {
            if card.is_replaced {
                info!(link, "the program on the card is taken off");
                let message = "the plan puts nothing on the card any more";
                log.push(card_event(EventKind::CardLost, Severity::Info, message, link));
            }
            return;
        };
        let was_refused = on_card.troubles.remove(&program.hook).is_some();
        if card.is_replaced || was_refused {
            let (stages, place) = (program.stages.as_str(), placement_of(program.hook));
            info!(link, stages, %place, "program put on the card");
            let message = format!("the card runs {stages} at {place}");
            let event = card_event(EventKind::CardPlaced, Severity::Info, message, link);
            log.push(event.with("placement", place.as_str()).with("stages", stages));
        }
    }

    /// Whether the card goes on with what it has after it refused a program at another hook. What it has is true: what
    /// is not any more was withdrawn before.
    fn has_kept(&self, link: &str, card: &CardPlan, error: &Error) -> bool {
        let hook = |program: CardProgram| program.hook;
        let (held, next) = (self.program_on(link).map(hook), card.next.program.map(hook));
        let is_doubtful = is_absent(error) || matches!(error, Error::NotRestored { .. });
        held.is_some() && next.is_some() && held != next && !is_doubtful
    }

    fn program_on(&self, link: &str) -> Option<CardProgram> {
        self.links.get(link).and_then(|card| card.held.program)
    }

    /// Takes in that a card has no room for a table as large as was planned. Whether something smaller may be tried.
    fn learn(&mut self, link: &str, error: &Error) -> bool {
        let Error::Card(refusal) = error else { return false };
        let KernelStep::Table { table, entries } = refusal.step else { return false };
        let smaller = entries / 2;
        if !refusal.is_about_room() || table.fixed_entries().is_some() || smaller == 0 {
            return false;
        }
        let on_card = self.links.entry(link.to_owned()).or_default();
        info!(link, table = table.name(), entries, "the card has no room for a table of that size");
        let known = on_card.limits.entry(table).or_insert(smaller);
        *known = smaller.min(*known);
        true
    }

    /// A card failed: what is on it is taken off, the host does everything.
    ///
    /// # Errors
    /// When the program may still run and cannot be taken off.
    pub(super) fn degrade(
        &mut self,
        link: &str,
        hook: Hook,
        error: &Error,
        log: &EventLog,
    ) -> Result<()> {
        let Some(setup) = &mut self.kernel else { return Ok(()) };
        let on_card = self.links.entry(link.to_owned()).or_default();
        tell(link, on_card, hook, error, log);
        match setup.cards.remove(on_card.ifindex) {
            Ok(removed) => self.counters.removed(link, &on_card.held, removed.as_ref()),
            // Whatever was there ended with the device.
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(error),
        }
        on_card.held = Default::default();
        Ok(())
    }
}

/// Notes and tells a refusal, unless it is an old one.
fn tell(link: &str, on_card: &mut OnCard, hook: Hook, error: &Error, log: &EventLog) {
    let before = on_card.troubles.get(&hook);
    let trouble = Trouble::new(error, before);
    if trouble.is_news(before) {
        warn!(link, %error, "the card does not take what is planned; the host does it");
        let message = format!("{error}; the host does what the card would have done");
        let event = card_event(EventKind::CardRefused, Severity::Error, message, link);
        let place = placement_of(hook);
        log.push(event.with("placement", place.as_str()).with("reason", trouble.word));
    }
    on_card.troubles.insert(hook, trouble);
}

pub(super) fn card_event(
    kind: EventKind,
    severity: Severity,
    message: impl Into<String>,
    link: &str,
) -> Event {
    Event::new(kind, severity, message).about(format_args!("link {link}"))
}

fn is_absent(error: &Error) -> bool {
    match error {
        Error::Card(refusal) => refusal.is_about_absence(),
        Error::NotPlaced { .. } | Error::NoSuchLink { .. } => true,
        _ => false,
    }
}
