//! From what is wanted, known and measured to what each card shall run and hold.

use std::collections::BTreeMap;

use sluice_datapath::abi::{Features, Slot};
use sluice_model::{
    GatewaySpec, Link, Name, Objects, Policy, Prefilter, Stage,
    status::{NotChosen, Placement, StageStatus, TableShare},
};

use super::{
    CardFacts, Forest,
    candidate::{Candidate, Offer, grouped},
    change::CardChange,
    choose::{Choice, Question, packets},
    contents::{CardContents, placement_of},
    heat::Heat,
    services::{Eligible, Judged, MOVING, judge},
};
use crate::{
    Error, Facts, LinkPlacement, Plan, SlotWords, Step, Write, settings, stages::other_place,
};

/// What the plan of all cards is made from.
pub struct Cards<'a> {
    /// What is wanted.
    pub objects: &'a Objects,
    /// What is known of the host.
    pub facts: &'a Facts,
    /// The plan of the host's tables: cards hold copies of what they hold afterwards.
    pub plan: &'a Plan,
    /// The slots as they are now.
    pub words: SlotWords<'a>,
    /// What is known of the cards, by link. Links that are not in the configuration lose what is on their cards.
    pub cards: &'a BTreeMap<String, CardFacts>,
    /// What is measured.
    pub heat: &'a Heat,
    /// The prefixes of `objects`: [`Forest::of`]. Not looked at where no card [takes programs](CardFacts::takes_programs).
    pub forests: &'a [Forest; 2],
}

/// What all cards shall run and hold, and where each stage is.
#[derive(Clone, Debug, Default)]
pub struct CardsPlan {
    /// Cards, by link.
    pub cards: BTreeMap<String, CardPlan>,
    /// Where each stage runs on each link, the host's places and the card's together.
    pub placements: Vec<LinkPlacement>,
    /// What the operator requires and cannot have. A change of the configuration is refused for it; what is in force
    /// stays so.
    pub refused: Vec<Error>,
}

/// What one card shall run and hold.
#[derive(Clone, Debug)]
pub struct CardPlan {
    /// Index of the link.
    pub ifindex: u32,
    /// What it shall run and hold. The next plan begins with it.
    pub next: CardContents,
    /// The writes. Only the withdrawal counts where [`CardPlan::is_replaced`].
    pub change: CardChange,
    /// Another program, or other sizes of tables: it is put on the card with everything it holds in place of the one
    /// that is there; or what is there is taken off.
    pub is_replaced: bool,
    /// Its stages.
    pub stages: Vec<CardStage>,
}

/// What becomes of one stage on one card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardStage {
    /// The stage.
    pub stage: Stage,
    /// Where it is planned, if on the card.
    pub placement: Option<Placement>,
    /// Where it would be if the card had refused nothing.
    pub requested: Option<Placement>,
    /// Why there.
    pub reason: String,
    /// How much of its tables is there.
    pub holds: Vec<TableShare>,
    /// The places on the card that it is not in.
    pub not_chosen: Vec<NotChosen>,
}

/// Plans all cards of the configuration. Pure, as the plan of the host.
#[must_use]
pub fn plan_cards(asked: &Cards) -> CardsPlan {
    let none = GatewaySpec::default();
    let gateway = asked.objects.gateway().map_or(&none, |gateway| &gateway.spec);
    let pending = Pending::of(asked);
    let mut planned = CardsPlan::default();
    for (number, link) in gateway.links.iter().enumerate() {
        let name = link.name.as_str();
        let facts = asked.facts.links.get(name);
        let host = asked.plan.placements.iter().find(|placement| placement.link == name);
        let is_attached = facts.is_some_and(|facts| facts.program.is_some());
        let host_place = host.and_then(LinkPlacement::host).filter(|_| is_attached);
        let card = asked.cards.get(name);
        let (eligible, ineligible) = match card {
            Some(card) if card.takes_programs() => {
                pending.services(asked, facts.map_or(0, |facts| facts.ifindex))
            }
            _ => Default::default(),
        };
        let no_contents = CardContents::default();
        let held = card.map_or(&no_contents, |card| &card.held);
        let services = eligible.len() + ineligible.len();
        let is_settling = ineligible.iter().any(|(_, why)| why == MOVING);
        let ineligible = grouped(ineligible);
        let question = Question {
            link,
            host: host_place,
            facts: card,
            unused: unused(asked.objects),
            offer: Offer {
                forests: asked.forests,
                eligible: &eligible,
                ineligible: &ineligible,
                services,
                is_settling,
                sampled: sampled(gateway),
                heat: asked.heat,
                held,
            },
        };
        let plan = card_plan(&question, facts.map_or(0, |facts| facts.ifindex));
        planned.refused.extend(refused(number, link, &question, &plan));
        if let Some(host) = host {
            planned.placements.push(merged(host, &plan, asked.facts.links.get(name), link));
        }
        planned.cards.insert(link.name.to_string(), plan);
    }
    for (name, card) in asked.cards.iter().filter(|(_, card)| card.held.program.is_some()) {
        let is_wanted = planned.cards.contains_key(name);
        if let (false, Some(facts)) = (is_wanted, asked.facts.links.get(name)) {
            planned.cards.insert(
                name.clone(),
                CardPlan {
                    ifindex: facts.ifindex,
                    next: CardContents::default(),
                    change: CardChange::between(&card.held, &CardContents::default()),
                    is_replaced: true,
                    stages: Vec::new(),
                },
            );
        }
    }
    planned
}

fn card_plan(question: &Question, ifindex: u32) -> CardPlan {
    let held = question.offer.held;
    let choice = question.choose(true);
    let wished = question.choose(false);
    let next =
        choice.best.as_ref().map_or_else(CardContents::default, |best| best.contents.clone());
    let is_replaced = next.program != held.program || next.sizes != held.sizes;
    let change = CardChange::between(held, &next);
    let stages =
        Stage::ALL.into_iter().map(|stage| card_stage(question, stage, &choice, &wished)).collect();
    CardPlan { ifindex, next, change, is_replaced, stages }
}

fn card_stage(question: &Question, stage: Stage, choice: &Choice, wished: &Choice) -> CardStage {
    let place = |choice: &Choice| {
        let best = choice.best.as_ref().filter(|best| best.program.stages.has(stage))?;
        Some(placement_of(best.program.hook))
    };
    let best = choice.best.as_ref().filter(|best| best.program.stages.has(stage));
    CardStage {
        stage,
        placement: place(choice),
        requested: place(wished),
        reason: best.map_or_else(String::new, |best| reason(question.link, stage, best)),
        holds: best.map(|best| best.share(stage).to_vec()).unwrap_or_default(),
        not_chosen: question.not_chosen(stage, choice),
    }
}

/// Why a stage is where it is on the card.
fn reason(link: &Link, stage: Stage, best: &Candidate) -> String {
    let shares = best.share(stage).iter();
    let shares: Vec<_> =
        shares.map(|share| format!("{} of {} {}", share.held, share.of, share.what)).collect();
    let held = format!("holds {}, {} there", shares.join(" and "), packets(best.value(stage)));
    let pin = link.pin(stage, placement_of(best.program.hook));
    match pin {
        Some((_, Policy::Require)) => format!("the operator requires it; {held}"),
        Some((_, Policy::Prefer)) => format!("the operator prefers it; {held}"),
        _ => held,
    }
}

/// Stages that nothing is configured for.
fn unused(objects: &Objects) -> BTreeMap<Stage, &'static str> {
    let mut unused = BTreeMap::new();
    let services = || objects.services().map(|service| service.spec.mode);
    let is_empty = |prefilter: &Prefilter| {
        prefilter.spec.deny.is_empty() && prefilter.spec.allow.is_empty()
    };
    if objects.prefilters().all(is_empty) {
        unused.insert(Stage::Prefilter, "no Prefilter has a prefix");
    }
    if services().next().is_none() {
        unused.insert(Stage::Service, "no Service is configured");
    }
    if services().all(|mode| mode != sluice_model::DeliveryMode::Nat) {
        unused.insert(Stage::Nat, "no Service has mode nat");
    }
    unused
}

/// Which flows the host tells user space of.
fn sampled(gateway: &GatewaySpec) -> Option<u32> {
    let events = &gateway.events;
    let has_events = events.drops_per_second > 0 || events.sample_flows > 0;
    super::candidate::sampled(&sluice_datapath::abi::Settings {
        features: Features(if has_events { Features::EVENTS } else { 0 }),
        flow_sample_shift: settings::sample_shift(events),
        ..sluice_datapath::abi::Settings::NONE
    })
}

/// What the operator requires of a link and cannot have.
fn refused(number: usize, link: &Link, question: &Question, plan: &CardPlan) -> Vec<Error> {
    let pins = link.placements.iter().enumerate().filter(|(_, pin)| {
        pin.policy == Policy::Require
            && pin.placement.is_on_card()
            && !question.unused.contains_key(&pin.stage)
    });
    let unmet = pins.filter_map(|(index, pin)| {
        let stage = plan.stages.iter().find(|stage| stage.stage == pin.stage)?;
        if stage.placement == Some(pin.placement) {
            return None;
        }
        let why = stage.not_chosen.iter().find(|other| other.placement == pin.placement);
        let why = why.cloned().unwrap_or(NotChosen {
            placement: pin.placement,
            reason: "it is not possible".to_owned(),
            evidence: None,
            change: None,
        });
        let way_out = why.change.unwrap_or_else(|| "say policy: prefer".to_owned());
        let evidence = why.evidence.map(|evidence| format!(" ({evidence})")).unwrap_or_default();
        Some(Error::PlacementRefused {
            link: number,
            pin: index,
            name: link.name.clone(),
            stage: pin.stage,
            placement: pin.placement,
            reason: format!("{}{evidence}", why.reason),
            way_out,
        })
    });
    unmet.collect()
}

/// The places of the host and of the card together.
fn merged(
    host: &LinkPlacement,
    plan: &CardPlan,
    facts: Option<&crate::facts::LinkFacts>,
    link: &Link,
) -> LinkPlacement {
    let stage = |status: &StageStatus| {
        let mut status = status.clone();
        let Some(on_host) = status.placement else { return status };
        let other_host = other_place(link.attach, on_host, facts);
        status.requested = Some(on_host);
        let card = plan.stages.iter().find(|card| card.stage.as_str() == status.stage);
        if let Some(card) = card {
            status.not_chosen.clone_from(&card.not_chosen);
            status.requested = card.requested.or(status.requested);
            if let Some(placement) = card.placement {
                status.placement = Some(placement);
                status.behind = Some(on_host);
                status.reason.clone_from(&card.reason);
                status.holds.clone_from(&card.holds);
            }
        }
        status.not_chosen.push(other_host);
        status
    };
    LinkPlacement { link: host.link.clone(), stages: host.stages.iter().map(stage).collect() }
}

/// The host's slots once the plan is carried out.
struct Pending<'a> {
    words: SlotWords<'a>,
    /// Slots that are written: runs by their first index.
    writes: BTreeMap<u32, &'a [u64]>,
}

impl<'a> Pending<'a> {
    fn of(asked: &'a Cards) -> Self {
        let writes = asked.plan.steps.iter().filter_map(|step| match step {
            Step::Write(Write::Slots(run)) => Some((run.first, run.values.as_slice())),
            _ => None,
        });
        Self { words: asked.words, writes: writes.collect() }
    }

    fn slot(&self, index: u32) -> Slot {
        let run = self.writes.range(..=index).next_back();
        let written = run.and_then(|(first, values)| values.get((index - first) as usize));
        written.map_or_else(|| self.words.read(index).slot, |word| Slot::from_word(*word))
    }

    /// Services that the card of a link could deliver, and the others with the reason.
    fn services(&self, asked: &Cards, ifindex: u32) -> (Vec<Eligible>, Vec<(Name, String)>) {
        let (mut eligible, mut refused) = (Vec::new(), Vec::new());
        for service in asked.objects.services() {
            let name = service.name();
            let state = asked.plan.next.service(name.as_str());
            let judged =
                state.ok_or_else(|| "it is not planned yet".to_owned()).and_then(|state| {
                    let judged = Judged { spec: &service.spec, state, ifindex };
                    judge(name, &judged, &|index| self.slot(index))
                });
            match judged {
                Ok(service) => eligible.push(service),
                Err(why) => refused.push((name.clone(), why)),
            }
        }
        (eligible, refused)
    }
}
