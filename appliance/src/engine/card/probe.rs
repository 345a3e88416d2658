//! Finding out what the cards of the links can do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use sluice_model::objects::Objects;
use sluice_model::{LinkName, Offload, Policy};
use sluice_profile::Profile;

use super::{OnCard, OnCards};
use crate::engine::Engine;

/// A link is probed no more often, however much changes about it.
const PAUSE: Duration = Duration::from_secs(2);
/// A link that could not be probed is probed again after so long.
const AGAIN: Duration = Duration::from_secs(60);
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
        let is_known = card.profile.is_some() && !card.is_doubtful;
        let is_recent = card.probed_at.is_some_and(|at| at.elapsed() < PAUSE);
        // A trial would find our own program in its way.
        let is_in_use = card.held.program.is_some() || card.loading.is_some();
        if is_known || is_recent || is_in_use || card.is_probing {
            return;
        }
        let has_failed = card.unprobed.is_some() && !card.is_doubtful;
        if has_failed && card.probed_at.is_some_and(|at| at.elapsed() < AGAIN) {
            return;
        }
        (card.is_probing, card.is_doubtful) = (true, false);
        card.probed_at = Some(Instant::now());
        let (prober, answers) = (Arc::clone(&setup.prober), self.probed.clone());
        let link = link.clone();
        tokio::spawn(async move {
            let found = prober.probe(&link).await;
            // The engine may have ended.
            let _ = answers.send(Probed { link, ifindex, found });
        });
    }

    /// Takes in what a probe found; whether that is news.
    pub(in crate::engine) fn probed(&mut self, probed: Probed) -> bool {
        let Some(card) = self.links.get_mut(probed.link.as_str()) else { return false };
        card.is_probing = false;
        if card.ifindex != probed.ifindex {
            card.is_doubtful = true;
            return false;
        }
        let before = (card.profile.clone(), card.unprobed.clone());
        match probed.found {
            Ok(profile) => (card.profile, card.unprobed) = (Some(Arc::new(profile)), None),
            Err(why) => card.unprobed = Some(why),
        }
        let is_news = before != (card.profile.clone(), card.unprobed.clone());
        if is_news {
            card.limits.clear();
            card.troubles.values_mut().for_each(super::Trouble::hurry);
        }
        is_news
    }

    /// Something about a link changed: ask again what it can do, and soon whether it takes what it refused.
    pub(in crate::engine) fn doubt(&mut self, link: &str) {
        if let Some(card) = self.links.get_mut(link) {
            card.is_doubtful = true;
            card.troubles.values_mut().for_each(super::Trouble::hurry);
        }
    }

    fn is_unknown(&self, link: &LinkName) -> bool {
        let card = self.links.get(link.as_str());
        card.is_none_or(|card| card.profile.is_none() && card.unprobed.is_none())
    }
}

impl Engine {
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
                Ok(Some(probed)) => drop(self.cards.probed(probed)),
                _ => break,
            }
        }
    }
}
