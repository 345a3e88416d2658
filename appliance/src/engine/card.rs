//! The tables on network cards: copies of a part of the host's, written by the same plan.
//!
//! The host's tables are complete at every moment; a card only takes work away. So whatever goes wrong with a card, it
//! is taken off, told, and tried again later; the host goes on as if there were none. Only one thing stops a change: a
//! card that cannot be made to forget what will not be true any more.

mod apply;
mod convert;
mod counters;
mod heat;
mod load;
mod pace;
mod probe;
mod refusal;
mod watch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluice_datapath::abi::CardTable;
use sluice_kernel::Cards as KernelCards;
use sluice_model::Object;
use sluice_model::objects::Objects;
use sluice_planner::card::{CardContents, CardFacts, Cards, CardsPlan, Forest, plan_cards};
use sluice_planner::facts::ProgramFacts;
use sluice_planner::{Facts, Plan, SlotWords};
use sluice_profile::{Hook, Profile};
use tokio::sync::mpsc;

use crate::wire::{Capabilities, LinkCapabilities, Supposition};
pub(super) use counters::CardCounters;
pub use counters::PlacementCounters;
pub(super) use probe::Probed;
pub use probe::{CardProber, Unprobed};
use refusal::Trouble;

/// The cards of the machine, and who finds out what they can do.
pub struct CardSetup {
    /// The cards.
    pub cards: Box<dyn KernelCards>,
    /// Probes links.
    pub prober: Arc<dyn CardProber>,
}

/// The prefixes in order, of both families, and the objects that they were read from.
type KnownForests = (Vec<Arc<Object>>, Arc<[Forest; 2]>);

/// What is heard of the cards' own work.
pub(super) struct Heard {
    pub(super) probed: mpsc::UnboundedReceiver<Probed>,
    /// A program was loaded.
    pub(super) loaded: mpsc::UnboundedReceiver<()>,
}

/// All cards, and what is on them.
pub(super) struct OnCards {
    kernel: Option<CardSetup>,
    /// By link.
    links: BTreeMap<String, OnCard>,
    heat: heat::Measured,
    pub(super) counters: CardCounters,
    forests: Option<KnownForests>,
    probed: mpsc::UnboundedSender<Probed>,
    /// Told when a program is loaded.
    wake: mpsc::UnboundedSender<()>,
    /// So long is waited for a program that is being loaded.
    patience: Duration,
}

/// The card of one link.
#[derive(Debug, Default)]
struct OnCard {
    /// Index of the link.
    ifindex: u32,
    profile: Option<Arc<Profile>>,
    /// What it could do before it refused.
    once: Option<Arc<Profile>>,
    unprobed: Option<String>,
    /// A probe is under way.
    is_probing: bool,
    pace: pace::Pace,
    /// What is on it.
    held: CardContents,
    /// What will be.
    loading: Option<load::Loading>,
    troubles: BTreeMap<Hook, Trouble>,
    /// Sizes of tables that it was found to take.
    limits: BTreeMap<CardTable, u32>,
}

impl OnCards {
    pub(super) fn new(kernel: Option<CardSetup>) -> (Self, Heard) {
        let (probed, received) = mpsc::unbounded_channel();
        let (wake, loaded) = mpsc::unbounded_channel();
        let cards = Self {
            kernel,
            links: BTreeMap::new(),
            heat: heat::Measured::default(),
            counters: CardCounters::default(),
            forests: None,
            probed,
            wake,
            patience: load::GRACE,
        };
        (cards, Heard { probed: received, loaded })
    }

    /// What the links and their cards can do.
    pub(super) fn capabilities(&self) -> Capabilities {
        let links = self.links.iter().map(|(link, card)| LinkCapabilities {
            link: link.clone(),
            profile: card.profile.as_deref().cloned(),
            unprobed: card.unprobed.clone(),
        });
        Capabilities { links: links.collect() }
    }

    /// What shall be on the cards once the plan of the host is carried out.
    pub(super) fn plan(
        &mut self,
        objects: &Objects,
        facts: &Facts,
        plan: &Plan,
        words: SlotWords,
    ) -> CardsPlan {
        let cards = self.facts();
        let needs_forests = cards.values().any(CardFacts::takes_programs);
        let forests = if needs_forests { self.forests(objects) } else { Arc::default() };
        plan_cards(&Cards {
            objects,
            facts,
            plan,
            words,
            cards: &cards,
            heat: self.heat.heat(),
            forests: &forests,
        })
    }

    /// What would be on the cards if one of them, or all, could do what a profile says and held nothing yet.
    pub(super) fn suppose(
        &mut self,
        objects: &Objects,
        facts: &Facts,
        plan: &Plan,
        words: SlotWords,
        supposed: Supposition,
    ) -> CardsPlan {
        let profile = Arc::new(supposed.profile);
        let other = || CardFacts { profile: Some(Arc::clone(&profile)), ..CardFacts::default() };
        let mut cards = self.facts();
        let links = objects.gateway().map_or(&[][..], |gateway| &gateway.spec.links);
        for link in links.iter().map(|link| &link.name) {
            if supposed.link.as_ref().is_none_or(|only| only == link) {
                cards.insert(link.to_string(), other());
            }
        }
        // Links that are not here, or run no program yet, are judged as if they did.
        let mut facts = facts.clone();
        for link in links.iter().map(|link| link.name.as_str()) {
            let program = ProgramFacts { is_native: true, settings: None, is_current: true };
            facts.links.entry(link.to_owned()).or_default().program.get_or_insert(program);
        }
        let forests = self.forests(objects);
        plan_cards(&Cards {
            objects,
            facts: &facts,
            plan,
            words,
            cards: &cards,
            heat: self.heat.heat(),
            forests: &forests,
        })
    }

    /// The prefixes in order; sorting a million of them is not repeated.
    fn forests(&mut self, objects: &Objects) -> Arc<[Forest; 2]> {
        let of_kind = objects.of_kind(sluice_model::Kind::Prefilter);
        let prefilters: Vec<_> = of_kind.map(|(_, entry)| Arc::clone(&entry.object)).collect();
        let is_same = |known: &[Arc<Object>]| {
            known.len() == prefilters.len()
                && known.iter().zip(&prefilters).all(|(a, b)| Arc::ptr_eq(a, b))
        };
        if let Some((_, forests)) = self.forests.as_ref().filter(|(known, _)| is_same(known)) {
            return Arc::clone(forests);
        }
        let forests = Arc::new(Forest::of(objects));
        self.forests = Some((prefilters, Arc::clone(&forests)));
        forests
    }

    fn facts(&self) -> BTreeMap<String, CardFacts> {
        let now = Instant::now();
        let of = |(link, card): (&String, &OnCard)| {
            let troubles = card.troubles.iter().filter(|(_, trouble)| trouble.until > now);
            let facts = CardFacts {
                profile: card.profile.clone(),
                once: card.once.clone(),
                unprobed: card.unprobed.clone(),
                held: card.held.clone(),
                refused: troubles.map(|(hook, trouble)| (*hook, trouble.refusal(link))).collect(),
                limits: card.limits.clone(),
            };
            (link.clone(), facts)
        };
        self.links.iter().map(of).collect()
    }

    /// Whether there are cards at all.
    fn is_there(&self) -> bool {
        self.kernel.is_some()
    }

    /// Whether something of ours is on a card.
    pub(super) fn any(&self) -> bool {
        self.links.values().any(|card| card.held.program.is_some())
    }

    /// Whether it is known what some card can do, so that it matters what is measured.
    fn is_watched(&self) -> bool {
        self.links.values().any(|card| card.profile.is_some())
    }

    /// What is in the way of a plan on some card, for people: the link and the kernel's words.
    pub(super) fn troubles(&self) -> Vec<(String, String)> {
        let of = |(link, card): (&String, &OnCard)| {
            let words = card.troubles.values().map(|trouble| trouble.words.clone());
            words.map(|words| (link.clone(), words)).collect::<Vec<_>>()
        };
        self.links.iter().flat_map(of).collect()
    }
}
