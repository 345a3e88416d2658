//! The plan, for people.

use sluice_datapath::abi::Features;
use sluice_kernel::Result;
use sluice_model::LinkName;
use sluice_model::status::StageStatus;
use sluice_planner::card::{CardReport, CardsPlan};
use sluice_planner::{LinkPlacement, Plan, Sizes};

use super::Engine;
use crate::wire::{self, Capabilities, CardView, LinkPlan, Supposition, TableSize};

const FEATURES: [(u32, &str); 11] = [
    (Features::IPV6, "ipv6"),
    (Features::PREFILTER4, "prefilter-ipv4"),
    (Features::PREFILTER6, "prefilter-ipv6"),
    (Features::SERVICE, "service"),
    (Features::DSR, "dsr"),
    (Features::NAT, "nat"),
    (Features::RANGES, "port-ranges"),
    (Features::SOURCES, "allowed-sources"),
    (Features::AFFINITY, "affinity"),
    (Features::EVENTS, "events"),
    (Features::VLAN, "vlan"),
];

impl Engine {
    /// What the links and their cards can do.
    pub fn capabilities(&self) -> Capabilities {
        self.cards.capabilities()
    }

    /// Where everything runs, and what is still to be done; with a supposition, where it would run.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn plan_view(&mut self, supposed: Option<Supposition>) -> Result<wire::Plan> {
        let objects = self.desired.objects.clone();
        let revision = self.desired.revision;
        match self.plan(&objects) {
            Ok(mut plan) => {
                let cards = match supposed {
                    None => self.plan_cards(&objects, &plan)?,
                    Some(supposed) => self.suppose(&objects, &plan, supposed)?,
                };
                plan.placements.clone_from(&cards.placements);
                Ok(self.view_of(&plan, &cards, revision))
            }
            Err(super::planning::PlanError::Kernel(error)) => Err(error),
            Err(super::planning::PlanError::Impossible(error)) => Ok(wire::Plan {
                revision,
                links: self.links_of(&self.planning.placements),
                cards: Vec::new(),
                refused: Vec::new(),
                tables: tables(&self.sizes()),
                actions: vec![format!("none: {error}")],
            }),
        }
    }

    /// A plan that was not carried out yet.
    pub(super) fn view_of(&self, plan: &Plan, cards: &CardsPlan, revision: u64) -> wire::Plan {
        let report = cards.report();
        let card = |card: CardReport| CardView {
            link: card.link,
            program: card.program,
            tables: card.tables,
            actions: card.withdraw.into_iter().chain(card.add).collect(),
        };
        let says_something = |card: &CardView| card.program.is_some() || !card.actions.is_empty();
        wire::Plan {
            revision,
            links: self.links_of(&plan.placements),
            cards: report.cards.into_iter().map(card).filter(says_something).collect(),
            refused: report.refused,
            tables: tables(plan.next.sizes()),
            actions: plan.notes.iter().map(ToString::to_string).collect(),
        }
    }

    fn links_of(&self, placements: &[LinkPlacement]) -> Vec<LinkPlan> {
        let of = |placement: &LinkPlacement| {
            let link = LinkName::new(placement.link.clone()).ok()?;
            Some(LinkPlan {
                features: self.features_of(&link),
                link,
                stages: placement.stages.clone(),
            })
        };
        placements.iter().filter_map(of).collect()
    }

    /// What the program that runs on a link is specialised to.
    fn features_of(&self, link: &LinkName) -> Vec<String> {
        let settings = self.links.get(link).and_then(|actual| actual.attachment.as_ref()?.settings);
        let features = settings.map_or(Features::default(), |settings| settings.features);
        FEATURES
            .iter()
            .filter(|(bit, _)| features.has(*bit))
            .map(|(_, name)| (*name).to_owned())
            .collect()
    }

    /// Where the stages run on a link.
    pub(super) fn stages_on(&self, link: &LinkName) -> Vec<StageStatus> {
        let mut placements = self.planning.placements.iter();
        let placement = placements.find(|placement| *link == *placement.link.as_str());
        placement.map(|placement| placement.stages.clone()).unwrap_or_default()
    }
}

fn tables(sizes: &Sizes) -> Vec<TableSize> {
    sizes
        .iter()
        .map(|(table, entries)| TableSize { table: table.name().to_owned(), entries })
        .collect()
}
