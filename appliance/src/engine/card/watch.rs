//! Looking after the cards: what an earlier daemon left, what somebody took off, what may be tried again.

use std::time::Instant;

use sluice_kernel::CardState;
use sluice_model::Kind;
use sluice_model::status::StageStatus;
use tracing::{info, warn};

use super::{OnCards, apply::card_event, refusal::Trouble};
use crate::engine::{Engine, views::object_id};
use crate::event::{EventKind, EventLog, Severity};

impl OnCards {
    /// Takes off what an earlier daemon left: nobody knows whether it is still true. The plan puts it back.
    pub(in crate::engine) fn clear(&mut self, log: &EventLog) {
        let Some(setup) = &mut self.kernel else { return };
        let placed = match setup.cards.placed() {
            Ok(placed) => placed,
            Err(error) => {
                warn!(%error, "what is on the cards cannot be read");
                return;
            }
        };
        for state in placed {
            let link = &state.link;
            match setup.cards.remove(link.ifindex) {
                Ok(_) => {
                    info!(link = %link.name, "what an earlier daemon left on the card is taken off");
                    let message = "what an earlier daemon left on the card is taken off";
                    log.push(card_event(EventKind::CardLost, Severity::Info, message, &link.name));
                }
                Err(error) => warn!(link = %link.name, %error, "the card cannot be cleared"),
            }
        }
    }

    /// Compares what is on the cards with what should be; whether something is to be done.
    pub(in crate::engine) fn look(&mut self, log: &EventLog) -> bool {
        let Some(setup) = &mut self.kernel else { return false };
        let mut is_to_do = false;
        if self.links.values().any(|card| card.held.program.is_some()) {
            match setup.cards.placed() {
                Ok(placed) => is_to_do |= self.compare(&placed, log),
                Err(error) => warn!(%error, "what is on the cards cannot be read"),
            }
        }
        let now = Instant::now();
        for card in self.links.values_mut() {
            let is_over = |trouble: &Trouble| trouble.until <= now;
            is_to_do |= card.troubles.values().any(is_over);
        }
        is_to_do
    }

    fn compare(&mut self, placed: &[CardState], log: &EventLog) -> bool {
        let Some(setup) = &mut self.kernel else { return false };
        let mut is_to_do = false;
        for (link, card) in &mut self.links {
            let Some(program) = card.held.program else { continue };
            let state = placed.iter().find(|state| state.link.ifindex == card.ifindex);
            let actual = match state {
                Some(state) if state.actual.runs() => continue,
                Some(state) => state.actual.to_string(),
                None => "nowhere: nothing of it is left".to_owned(),
            };
            let words = format!("{link}: the program for the card is {actual}");
            let before = card.troubles.get(&program.hook);
            let reason = "the card does not run the program any more";
            let trouble = Trouble::because("CardLost", reason, words.clone(), before);
            if trouble.is_news(before) {
                warn!(link, actual, "the card does not run its program; the host does it");
                let message = format!("{words}; the host does what the card did");
                log.push(card_event(EventKind::CardLost, Severity::Error, message, link));
            }
            card.troubles.insert(program.hook, trouble);
            card.pace.doubt();
            match setup.cards.remove(card.ifindex) {
                Ok(removed) => self.counters.removed(link, &card.held, removed.as_ref()),
                Err(error) => warn!(link, %error, "what is left of the card's program stays"),
            }
            card.held = Default::default();
            is_to_do = true;
        }
        is_to_do
    }

    /// Forgets refusals that are over and were not renewed. Whether there were any: then plan once more.
    pub(in crate::engine) fn forgive(&mut self) -> bool {
        let now = Instant::now();
        let mut any = false;
        for card in self.links.values_mut() {
            let before = card.troubles.len();
            card.troubles.retain(|_, trouble| trouble.until > now);
            any |= card.troubles.len() < before;
        }
        any
    }
}

impl Engine {
    /// Every beat: what is on the cards, what they counted, and whether it is time to choose anew.
    pub(in crate::engine) fn look_after_cards(&mut self) -> sluice_kernel::Result<()> {
        let objects = self.desired.objects.clone();
        self.probe_cards(&objects);
        self.dirty.plan |= self.cards.look(&self.log);
        if self.cards.is_watched() {
            self.cards.read_all_counters();
            self.dirty.plan |= self.measure_heat()? && self.cards.any();
        }
        Ok(())
    }

    /// States whether the cards do what is planned.
    pub(in crate::engine) fn state_of_cards(&mut self) {
        let objects = self.desired.objects.clone();
        let Some(gateway) = objects.gateway().filter(|_| self.cards.is_there()) else { return };
        let id = object_id(Kind::Gateway, gateway.name());
        let placements = self.planning.placements.iter().flat_map(|link| &link.stages);
        let on_cards = placements
            .clone()
            .filter(|stage| stage.requested.is_some_and(|requested| requested.is_on_card()));
        let (mut wanted, mut missing) = (0, 0);
        let mut words: Vec<_> = self.cards.troubles().into_iter().map(|(_, words)| words).collect();
        for stage in on_cards {
            wanted += 1;
            if stage.placement != stage.requested {
                missing += 1;
                words.extend(why_not(stage).filter(|why| !words.contains(why)));
            }
        }
        let unmet = &self.planning.unmet;
        let (holds, reason, message) = match (unmet.first(), missing, wanted) {
            (Some(first), ..) => (false, "RequirementUnmet", first.to_string()),
            (None, 0, 0) => (true, "NothingPlanned", "nothing is planned on cards".to_owned()),
            (None, 0, wanted) => {
                (true, "AsPlanned", format!("{wanted} stages run on cards, as planned"))
            }
            (None, missing, _) if self.cards.loading().next().is_some() => {
                let of = |(link, since): (&str, std::time::Duration)| {
                    format!("{link} for {} s", since.as_secs())
                };
                let loading: Vec<_> = self.cards.loading().map(of).collect();
                let message = format!(
                    "{missing} stages run on the host while the programs for cards are being loaded: {}",
                    loading.join(", ")
                );
                (false, "Loading", message)
            }
            (None, missing, _) => {
                let words = words.join("; ");
                let message = format!("{missing} stages are not where they are planned: {words}");
                (false, "CardRefused", message)
            }
        };
        self.conditions.set(&id, "Offloaded", holds, reason, message);
    }
}

/// What is in the way of a stage in its planned place, in the kernel's words if it said something.
fn why_not(stage: &StageStatus) -> Option<String> {
    let other = stage.not_chosen.iter().find(|other| Some(other.placement) == stage.requested)?;
    Some(other.evidence.clone().unwrap_or_else(|| other.reason.clone()))
}
