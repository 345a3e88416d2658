//! Finding out what the cards of the links can do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sluice_model::objects::Objects;
use sluice_model::{LinkName, Offload, Policy};
use sluice_planner::card::placement_of;
use sluice_profile::{Capability, Finding, Hook, MapKind, Profile};
use tracing::warn;

use super::{OnCard, OnCards, apply::card_event};
use crate::engine::Engine;
use crate::event::{EventKind, EventLog, Severity};
use crate::wire::ProbeAnswer;

/// A change that requires a card waits so long for what it can do.
const PATIENCE: Duration = Duration::from_secs(10);

/// Finds out what a link's card can do. Disturbs no traffic.
pub trait CardProber: Send + Sync {
    /// Probes a link.
    fn probe<'a>(&'a self, link: &'a LinkName) -> BoxFuture<'a, Result<Profile, String>>;
}

/// Nobody probes: what cards can do stays unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unprobed;

impl CardProber for Unprobed {
    fn probe<'a>(&'a self, _: &'a LinkName) -> BoxFuture<'a, Result<Profile, String>> {
        Box::pin(std::future::ready(Err("this daemon probes no links".to_owned())))
    }
}

/// What a probe found.
#[derive(Debug)]
pub(in crate::engine) struct Probed {
    link: LinkName,
    ifindex: u32,
    found: Result<Profile, String>,
}

impl OnCards {
    /// Begins to probe a link, unless it is known, or has just been probed.
    fn probe(&mut self, link: &LinkName, ifindex: u32) {
        let Some(setup) = &self.kernel else { return };
        let card = self.links.entry(link.to_string()).or_default();
        if card.ifindex != ifindex && card.held.program.is_none() {
            // Another device has the name now.
            *card = OnCard { ifindex, is_probing: card.is_probing, ..OnCard::default() };
        }
        let now = Instant::now();
        // A trial would find our own program in its way.
        let is_in_use = card.held.program.is_some() || card.loading.is_some();
        if is_in_use || card.is_probing || !card.pace.is_due(card.is_settled(), now) {
            return;
        }
        card.is_probing = true;
        card.pace.begin(now);
        let (prober, answers) = (Arc::clone(&setup.prober), self.probed.clone());
        let link = link.clone();
        tokio::spawn(async move {
            let found = prober.probe(&link).await;
            // The engine may have ended.
            let _ = answers.send(Probed { link, ifindex, found });
        });
    }

    /// Takes in what a probe found; whether that is news.
    pub(in crate::engine) fn probed(&mut self, probed: Probed, log: &EventLog) -> bool {
        let Some(card) = self.links.get_mut(probed.link.as_str()) else { return false };
        card.is_probing = false;
        if card.ifindex != probed.ifindex {
            card.pace.ask();
            return false;
        }
        let is_news = match probed.found {
            Ok(profile) => {
                let (profile, before) = (Arc::new(profile), card.profile.clone());
                let is_news = card.found(Arc::clone(&profile));
                for (hook, words) in before.iter().flat_map(|before| refused(before, &profile)) {
                    tell(probed.link.as_str(), hook, &words, log);
                }
                is_news
            }
            Err(why) => {
                let is_new = card.unprobed.as_ref() != Some(&why);
                card.unprobed = Some(why);
                is_new
            }
        };
        card.pace.end(is_news);
        if is_news {
            card.limits.clear();
            card.troubles.values_mut().for_each(super::Trouble::hurry);
        }
        is_news
    }

    /// Something about a link changed: ask again what it can do, and soon whether it takes what it refused.
    pub(in crate::engine) fn doubt(&mut self, link: &str) {
        if let Some(card) = self.links.get_mut(link) {
            card.pace.doubt();
            card.troubles.values_mut().for_each(super::Trouble::hurry);
        }
    }

    /// Somebody wants to know now what a link's card can do and takes: what it could do before counts no more.
    pub(in crate::engine) fn ask_again(&mut self, link: &str) {
        if let Some(card) = self.links.get_mut(link) {
            card.pace.ask();
            card.once = None;
            card.troubles.clear();
        }
    }

    fn is_unknown(&self, link: &LinkName) -> bool {
        let card = self.links.get(link.as_str());
        card.is_none_or(|card| card.profile.is_none() && card.unprobed.is_none())
    }
}

impl OnCard {
    /// Whether what was found is all that is expected. A driver that says its card runs programs, and takes none, may take
    /// some later.
    fn is_settled(&self) -> bool {
        let Some(profile) = self.profile.as_deref().filter(|_| self.unprobed.is_none()) else {
            return false;
        };
        let takes_all = Hook::ALL.iter().all(|hook| obstacle(profile, *hook).is_none());
        takes_all || !(profile.promises_programs() || self.once.is_some())
    }

    /// Takes in a profile; whether it says something new.
    fn found(&mut self, profile: Arc<Profile>) -> bool {
        let before = self.profile.replace(Arc::clone(&profile));
        let was_unknown = self.unprobed.take().is_some();
        let once = self.once.as_deref();
        let takes_less = once.is_some_and(|once| refused(once, &profile).next().is_some());
        let takes_any = Hook::ALL.iter().any(|hook| obstacle(&profile, *hook).is_none());
        if takes_any && !takes_less {
            self.once = Some(Arc::clone(&profile));
        }
        was_unknown || before.is_none_or(|before| !before.says_the_same(&profile))
    }
}

/// What is in the way of a program at a hook, in the kernel's words.
fn obstacle(profile: &Profile, hook: Hook) -> Option<String> {
    let offload = profile.program_offload(hook);
    if !offload.holds() {
        return Some(offload.because());
    }
    let tables = [MapKind::Array, MapKind::Hash];
    let tables = tables.map(|kind| profile.finding(Capability::Map(kind)));
    tables.iter().find(|table| !table.holds()).map(Finding::because)
}

/// The hooks that take no program any more, and why.
fn refused<'p>(
    before: &'p Profile,
    now: &'p Profile,
) -> impl Iterator<Item = (Hook, String)> + use<'p> {
    let took = |hook: &Hook| obstacle(before, *hook).is_none();
    let hooks = Hook::ALL.iter().copied().filter(took);
    hooks.filter_map(|hook| Some((hook, obstacle(now, hook)?)))
}

fn tell(link: &str, hook: Hook, words: &str, log: &EventLog) {
    let place = placement_of(hook);
    warn!(link, %place, words, "the card takes no programs any more");
    let message = format!("{link}: the card takes no programs any more: {words}");
    let event = card_event(EventKind::CardRefused, Severity::Error, message, link);
    log.push(event.with("placement", place.as_str()).with("reason", "ProbeRefused"));
}

impl Engine {
    /// Asks a link's card at once what it can do and takes. None if the configuration has no such link.
    pub(crate) fn probe_link(&mut self, link: &str) -> Option<ProbeAnswer> {
        let objects = self.desired.objects.clone();
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        let wanted = links.iter().find(|known| known.name == *link)?;
        self.cards.ask_again(link);
        self.probe_cards(&objects);
        self.dirty.plan = true;
        let card = self.cards.links.get(link);
        let message = match card {
            _ if wanted.offload == Offload::Off => "offload is off for this link: it is not probed",
            Some(card) if card.is_probing => "the link is being probed: see `sluice explain`",
            Some(card) if card.held.program.is_some() => {
                "the card runs a program of Sluice and cannot be probed; what it refused before is tried again"
            }
            _ => "the link is not there, or its card is being given a program: try again later",
        };
        Some(ProbeAnswer {
            link: wanted.name.clone(),
            is_probing: card.is_some_and(|card| card.is_probing),
            message: message.to_owned(),
        })
    }

    /// Probes the links of a configuration that may use their cards.
    pub(in crate::engine) fn probe_cards(&mut self, objects: &Objects) {
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        for link in links.iter().filter(|link| link.offload == Offload::Auto) {
            if let Some(found) = self.hops.link_named(link.name.as_str()) {
                self.cards.probe(&link.name, found.ifindex);
            }
        }
    }

    /// Waits a while for what is known of the cards that a configuration requires.
    pub(in crate::engine) async fn await_required_cards(&mut self, objects: &Objects) {
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        let requires = |link: &&sluice_model::Link| {
            let pins = &link.placements;
            pins.iter().any(|pin| pin.policy == Policy::Require && pin.placement.is_on_card())
        };
        let required: Vec<LinkName> =
            links.iter().filter(requires).map(|link| link.name.clone()).collect();
        if required.is_empty() || self.cards.kernel.is_none() {
            return;
        }
        self.probe_cards(objects);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while required.iter().any(|link| {
            self.hops.link_named(link.as_str()).is_some() && self.cards.is_unknown(link)
        }) {
            match tokio::time::timeout_at(deadline, self.heard.probed.recv()).await {
                Ok(Some(probed)) => drop(self.cards.probed(probed, &self.log)),
                _ => break,
            }
        }
    }
}
