//! Which program a card runs, by what is possible, wanted and worth it, and for every other place why not.

use std::collections::BTreeMap;

use sluice_datapath::abi::CardTable;
use sluice_model::{
    Link, Offload, Policy, Stage,
    status::{NotChosen, Placement},
};
use sluice_profile::{FlowerAction, FlowerMatch, Hook, Profile, Verdict};

use super::{
    CardFacts,
    candidate::{Candidate, Offer},
    contents::{CardProgram, CardStages, hook_of, placement_of},
    need,
    obstacle::Obstacle,
};

/// What is asked of one card.
pub(crate) struct Question<'a> {
    pub(crate) link: &'a Link,
    /// Where the host's program runs, if it does.
    pub(crate) host: Option<Placement>,
    pub(crate) facts: Option<&'a CardFacts>,
    /// Why a stage needs no place at all.
    pub(crate) unused: BTreeMap<Stage, &'static str>,
    /// Nothing without a profile.
    pub(crate) offer: Offer<'a>,
}

/// What was chosen for one card.
#[derive(Debug)]
pub(crate) struct Choice {
    /// None: nothing of ours is on the card.
    pub(crate) best: Option<Candidate>,
    /// Why a stage is not in a place on the card.
    pub(crate) obstacles: BTreeMap<(Stage, Hook), Obstacle>,
}

impl Question<'_> {
    /// Chooses; `minding` the refusals of the card, or as if it had not refused anything.
    pub(crate) fn choose(&self, minding: bool) -> Choice {
        let mut obstacles = BTreeMap::new();
        let mut weighed = Weighed::default();
        let profile = self.profile(minding);
        for hook in Hook::ALL.iter().copied() {
            for stage in Stage::ALL {
                if let Some(obstacle) = self.obstacle(stage, hook, minding) {
                    obstacles.insert((stage, hook), obstacle);
                }
            }
            let Some(profile) = profile else { continue };
            for stages in CardStages::ALL {
                let of = Stage::ALL.into_iter().filter(|stage| stages.has(*stage));
                if of.clone().all(|stage| !obstacles.contains_key(&(stage, hook))) {
                    self.consider(
                        CardProgram { hook, stages },
                        profile,
                        &mut weighed,
                        &mut obstacles,
                    );
                }
            }
        }
        let best = self.best(std::mem::take(&mut weighed.candidates));
        if let (Some(best), Some(profile)) = (&best, profile) {
            lost(best, profile, &weighed, &mut obstacles);
        }
        Choice { best, obstacles }
    }

    /// What the card can do, or what it could when it refused nothing.
    fn profile(&self, minding: bool) -> Option<&Profile> {
        let facts = self.facts?;
        let once = facts.once.as_deref().filter(|_| !minding);
        once.or(facts.profile.as_deref())
    }

    fn consider(
        &self,
        program: CardProgram,
        profile: &Profile,
        weighed: &mut Weighed,
        obstacles: &mut BTreeMap<(Stage, Hook), Obstacle>,
    ) {
        let CardProgram { hook, stages } = program;
        let room = need::room(profile, self.link.name.as_str(), program);
        let mut room = match (room, single(stages)) {
            (Ok(room), _) => room,
            (Err(obstacle), Some(stage)) => {
                obstacles.entry((stage, hook)).or_insert(obstacle);
                return;
            }
            (Err(obstacle), None) => {
                weighed.against_both.insert(hook, obstacle);
                return;
            }
        };
        for (table, entries) in self.facts.into_iter().flat_map(|facts| &facts.limits) {
            room.limit(*table, *entries);
        }
        let candidate = Candidate::of(program, &room, &self.offer);
        let of = Stage::ALL.into_iter().filter(|stage| stages.has(*stage));
        let (busy, idle): (Vec<_>, Vec<_>) = of.partition(|stage| candidate.serves(*stage));
        for stage in &idle {
            // A larger program knows better what is in the way: it has what services need.
            if !busy.is_empty() || single(stages).is_some() {
                let obstacle = || nothing_to_hold(*stage, &candidate, profile);
                obstacles.entry((*stage, hook)).or_insert_with(obstacle);
            }
        }
        for stage in busy.iter().filter(|_| single(stages).is_some()) {
            weighed.values.insert((*stage, hook), candidate.value(*stage));
        }
        if idle.is_empty() {
            weighed.candidates.push(candidate);
        }
    }

    /// What is in the way of a stage at a hook, whatever the card holds.
    fn obstacle(&self, stage: Stage, hook: Hook, minding: bool) -> Option<Obstacle> {
        let link = &self.link.name;
        let placement = placement_of(hook);
        if let Some(unused) = self.unused.get(&stage) {
            return Some(Obstacle::new(*unused));
        }
        let Some(host) = self.host else {
            let reason =
                "the host's program is not on the link, and the card only takes work from it";
            return Some(Obstacle::new(reason));
        };
        if self.link.offload == Offload::Off {
            return Some(
                Obstacle::new("offload is off")
                    .shown_by(format!("spec.links, {link}: offload: off"))
                    .changed_by("offload: auto"),
            );
        }
        if let Some(obstacle) = self.pinned(stage, placement) {
            return Some(obstacle);
        }
        if stage == Stage::Nat {
            return Some(
                Obstacle::new("no program for cards translates addresses")
                    .shown_by(
                        "each translated flow has a record that host and card would have to share",
                    )
                    .changed_by("mode: dsr for the services that shall be on the card"),
            );
        }
        let Some(facts) = self.facts else {
            return Some(
                Obstacle::new("the link was not probed yet").changed_by(format!("hwprobe {link}")),
            );
        };
        let Some(profile) = self.profile(minding) else {
            let why = facts.unprobed.clone().unwrap_or_else(|| "no probe has finished".to_owned());
            return Some(
                Obstacle::new("what the card can do is not known")
                    .shown_by(why)
                    .changed_by(format!("hwprobe {link}")),
            );
        };
        if let Some(refusal) = facts.refused.get(&hook).filter(|_| minding) {
            return Some(refusal.obstacle());
        }
        if stage == Stage::Service && hook == Hook::ClsBpf {
            let program = CardProgram { hook, stages: CardStages::Service };
            return Some(need::room(profile, link.as_str(), program).err().unwrap_or_else(|| {
                Obstacle::new("no tc program of this version puts packets into tunnels")
            }));
        }
        need::exclusion(profile, placement, host).map(|obstacle| {
            let other = if host == Placement::HostXdp { "generic" } else { "native" };
            obstacle.or_changed_by(format!("attach: {other}"))
        })
    }

    /// What the operator says against a placement.
    fn pinned(&self, stage: Stage, placement: Placement) -> Option<Obstacle> {
        let at = |index: usize| format!("spec.links, {}: placements[{index}]", self.link.name);
        if let Some((index, Policy::Forbid)) = self.link.pin(stage, placement) {
            return Some(
                Obstacle::new("the operator forbids it")
                    .shown_by(at(index))
                    .changed_by(format!("remove {}", at(index))),
            );
        }
        let pins = self.link.placements.iter().enumerate().filter(|(_, pin)| pin.stage == stage);
        let other = pins.filter(|(_, pin)| pin.placement != placement).find(|(_, pin)| {
            let on_host = !pin.placement.is_on_card() && pin.policy != Policy::Forbid;
            on_host || pin.policy == Policy::Require
        })?;
        let (index, pin) = other;
        let verb = if pin.policy == Policy::Require { "requires" } else { "prefers" };
        Some(
            Obstacle::new(format!("the operator {verb} {}", pin.placement))
                .shown_by(at(index))
                .changed_by(format!("remove {}", at(index))),
        )
    }

    /// The one that does what the operator wants, then the one that takes most off the host.
    fn best(&self, candidates: Vec<Candidate>) -> Option<Candidate> {
        let wishes = |candidate: &Candidate, policy: Policy| {
            let pins = self.link.placements.iter().filter(|pin| pin.policy == policy);
            let met = pins.filter(|pin| {
                hook_of(pin.placement) == Some(candidate.program.hook)
                    && candidate.program.stages.has(pin.stage)
            });
            met.count()
        };
        let held = self.offer.held;
        let order = |a: &Candidate, b: &Candidate| {
            let wished =
                |candidate| (wishes(candidate, Policy::Require), wishes(candidate, Policy::Prefer));
            let count = |candidate: &Candidate| {
                Stage::ALL.iter().filter(|stage| candidate.program.stages.has(**stage)).count()
            };
            wished(a)
                .cmp(&wished(b))
                .then(a.worth(held).total_cmp(&b.worth(held)))
                .then(count(a).cmp(&count(b)))
                .then(a.is_held(held).cmp(&b.is_held(held)))
                .then(a.entries().cmp(&b.entries()))
                .then(b.program.hook.cmp(&a.program.hook))
        };
        candidates.into_iter().max_by(order)
    }

    /// For all places on the card that a stage is not in, why.
    pub(crate) fn not_chosen(&self, stage: Stage, choice: &Choice) -> Vec<NotChosen> {
        let is_chosen = |hook: Hook| {
            let best = choice.best.as_ref();
            best.is_some_and(|best| best.program.hook == hook && best.program.stages.has(stage))
        };
        let hooks = Hook::ALL.iter().copied().filter(|hook| !is_chosen(*hook));
        let why = |hook| choice.obstacles.get(&(stage, hook)).cloned();
        let mut told: Vec<_> = hooks
            .filter_map(|hook| why(hook).map(|obstacle| obstacle.at(placement_of(hook))))
            .collect();
        let profile = self.facts.and_then(|facts| facts.profile.as_deref());
        told.extend(profile.filter(|_| stage == Stage::Prefilter).map(flow_rules));
        told
    }
}

/// What was found out about programs.
#[derive(Default)]
struct Weighed {
    candidates: Vec<Candidate>,
    /// Packets per second that a stage alone would take off the host.
    values: BTreeMap<(Stage, Hook), f64>,
    /// What is in the way of both stages in one program.
    against_both: BTreeMap<Hook, Obstacle>,
}

/// Why the places that lost against the best did.
fn lost(
    best: &Candidate,
    profile: &Profile,
    weighed: &Weighed,
    obstacles: &mut BTreeMap<(Stage, Hook), Obstacle>,
) {
    let CardProgram { hook: taken, stages } = best.program;
    for hook in Hook::ALL.iter().copied() {
        for stage in Stage::ALL {
            if hook == taken && stages.has(stage) {
                // What kept it out of another program no longer matters.
                obstacles.remove(&(stage, hook));
            } else {
                obstacles.entry((stage, hook)).or_insert_with(|| match hook == taken {
                    false => need::taken(profile, taken),
                    true => beaten(best, stage, weighed),
                });
            }
        }
    }
}

/// A stage whose program is taken by another one.
fn beaten(best: &Candidate, stage: Stage, weighed: &Weighed) -> Obstacle {
    let CardProgram { hook, stages } = best.program;
    let against = weighed.against_both.get(&hook);
    let why = against.map_or("the card runs one program", |obstacle| obstacle.reason.as_str());
    let there: f64 = Stage::ALL.into_iter().map(|stage| best.value(stage)).sum();
    let here = weighed.values.get(&(stage, hook)).copied().unwrap_or(0.0);
    let (there, here) = (packets(there), packets(here));
    let reason = format!(
        "{why}; that of {} takes {there} off the host, this one {here}, and a change must gain a fifth",
        stages.as_str()
    );
    let evidence = against.and_then(|obstacle| obstacle.evidence.clone());
    let change = against.and_then(|obstacle| obstacle.change.clone());
    Obstacle { reason, evidence, change }.or_changed_by(format!("a pin of {stage}: policy: prefer"))
}

/// A stage alone in its program.
const fn single(stages: CardStages) -> Option<Stage> {
    match stages {
        CardStages::Prefilter => Some(Stage::Prefilter),
        CardStages::Service => Some(Stage::Service),
        CardStages::Both => None,
    }
}

/// A program that would have nothing to do.
fn nothing_to_hold(stage: Stage, candidate: &Candidate, profile: &Profile) -> Obstacle {
    let groups = candidate.share(stage).iter().flat_map(|share| &share.left_out);
    let Some(most) = groups.max_by_key(|group| group.entries) else {
        return Obstacle::new("nothing of it could be on the card");
    };
    let what = match stage {
        Stage::Prefilter => "no prefix can be on the card",
        _ => "no service can be on the card",
    };
    let example = most.examples.first().map_or(String::new(), |name| format!(", such as {name}"));
    let obstacle = Obstacle::new(format!("{what}{example}: {}", most.reason));
    if most.reason.contains("the card took") {
        obstacle
            .shown_by(need::table_evidence(profile, CardTable::Slots))
            .changed_by("a card with larger tables, or fewer backends of more equal weight")
    } else if most.reason.starts_with("the card holds") {
        obstacle
            .shown_by(need::table_evidence(profile, CardTable::Prefixes4))
            .changed_by("fewer prefixes, or a card with larger tables")
    } else {
        obstacle
    }
}

/// Prefixes could be flow rules; no version does that.
fn flow_rules(profile: &Profile) -> NotChosen {
    let rules = profile.flower(&[FlowerMatch::SourceIpv4], &[FlowerAction::Drop]);
    let obstacle = if rules.holds() {
        Obstacle::of("this version writes no flow rules, though the card takes them", &rules)
            .or_changed_by("a version of Sluice that writes flow rules")
    } else if matches!(rules.verdict, Verdict::Unknown(_)) {
        Obstacle::of("this version writes no flow rules", &rules)
    } else {
        Obstacle::of("this version writes no flow rules, and the card takes none", &rules)
    };
    let obstacle =
        Obstacle { change: obstacle.change.filter(|change| !change.contains("LINK")), ..obstacle };
    obstacle.at(Placement::NicFlow)
}

/// A rate in words.
pub(crate) fn packets(per_second: f64) -> String {
    match per_second {
        rate if rate < 1.0 => "no packets measured".to_owned(),
        rate if rate < 10_000.0 => format!("{rate:.0} packets/s"),
        rate if rate < 10_000_000.0 => format!("{:.0}k packets/s", rate / 1e3),
        rate => format!("{:.0}M packets/s", rate / 1e6),
    }
}
