//! What a card would hold with one program, and what that is worth.

use std::collections::BTreeMap;

use sluice_datapath::abi::{
    CARD_ABI_VERSION, CardFlags, CardSettings, CardTable, Features, Settings,
};
use sluice_model::{
    Stage,
    status::{LeftOut, TableShare},
};

use super::{
    contents::{CardContents, CardProgram, lengths},
    heat::Heat,
    need::Room,
    prefixes::{ChosenPrefixes, Forest},
    services::{ChosenServices, Eligible, Grouped, ServiceRoom, choose},
};

/// A program that is already there counts as worth so much more: another one must take a fifth more off the host.
const LOYALTY: f64 = 1.2;
/// And a packet per second.
const LOYALTY_RATE: f64 = 1.0;

/// What could be on a card.
pub(crate) struct Offer<'a> {
    /// All prefixes, IPv4 and IPv6.
    pub(crate) forests: &'a [Forest; 2],
    /// Services that the card could deliver.
    pub(crate) eligible: &'a [Eligible],
    /// Those that it could not, by reason.
    pub(crate) ineligible: &'a [LeftOut],
    /// How many services there are.
    pub(crate) services: usize,
    /// Some of them are not there only because their slots are moving: the program waits for them.
    pub(crate) is_settling: bool,
    /// Constants of the host's program: which flows it tells user space of.
    pub(crate) sampled: Option<u32>,
    pub(crate) heat: &'a Heat,
    pub(crate) held: &'a CardContents,
}

/// What a card would hold with one program.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) program: CardProgram,
    pub(crate) contents: CardContents,
    /// Packets per second taken off the host by the prefilter and by services.
    prefilter: f64,
    service: f64,
    prefilter_share: Vec<TableShare>,
    service_share: Vec<TableShare>,
    /// The program is there, and services that it could deliver are moving.
    waits: bool,
}

impl Candidate {
    pub(crate) fn of(program: CardProgram, room: &Room, offer: &Offer) -> Self {
        let sizes = sizes(program, room, offer);
        let prefixes = [0, 1].map(|family| {
            let table = [CardTable::Prefixes4, CardTable::Prefixes6][family];
            let size = sizes.get(&table).copied().unwrap_or(0) as usize;
            let held = &offer.held.prefixes[family];
            let has_any = program.stages.has(Stage::Prefilter);
            has_any.then(|| offer.forests[family].choose(size, held, offer.heat))
        });
        let closed = [0, 1]
            .map(|family| why_closed(family, &offer.forests[family], prefixes[family].as_ref()));
        let services = if program.stages.has(Stage::Service) {
            let size = |table| sizes.get(&table).copied().unwrap_or(0);
            let room = ServiceRoom {
                services: [CardTable::Services4, CardTable::Services6].map(|t| size(t) as usize),
                slots: size(CardTable::Slots),
                backends: size(CardTable::Backends),
            };
            let is_same = offer.held.program == Some(program) && offer.held.sizes == sizes;
            let none = BTreeMap::new();
            let held = if is_same { &offer.held.services } else { &none };
            choose(offer.eligible, room, closed.each_ref().map(Option::as_deref), held, offer.heat)
        } else {
            ChosenServices::default()
        };
        Self::assemble(program, sizes, prefixes, services, offer)
    }

    fn assemble(
        program: CardProgram,
        sizes: BTreeMap<CardTable, u32>,
        prefixes: [Option<ChosenPrefixes>; 2],
        services: ChosenServices,
        offer: &Offer,
    ) -> Self {
        let mut contents =
            CardContents { program: Some(program), sizes, ..CardContents::default() };
        let (mut prefilter, mut prefilter_share) = (0.0, Vec::new());
        for (family, chosen) in prefixes.into_iter().enumerate() {
            let chosen = chosen.unwrap_or_default();
            let behind = services.chosen.values().any(|image| image.key.family() == family);
            contents.settings[family] = settings(&chosen, behind, offer.sampled);
            prefilter += chosen.value;
            if !offer.forests[family].is_empty() {
                prefilter_share.push(TableShare {
                    what: ["IPv4 prefixes", "IPv6 prefixes"][family].to_owned(),
                    held: chosen.chosen.len() as u64,
                    of: offer.forests[family].len() as u64,
                    left_out: chosen.left_out,
                });
            }
            contents.prefixes[family] = chosen.chosen;
        }
        let mut left_out = offer.ineligible.to_vec();
        left_out.extend(services.left_out);
        let service_share = vec![TableShare {
            what: "services".to_owned(),
            held: services.chosen.len() as u64,
            of: offer.services as u64,
            left_out,
        }];
        contents.services = services.chosen;
        Self {
            program,
            contents,
            prefilter,
            service: services.value,
            prefilter_share,
            service_share,
            waits: offer.is_settling && offer.held.program == Some(program),
        }
    }

    /// Whether a stage of the program has something to do.
    pub(crate) fn serves(&self, stage: Stage) -> bool {
        match stage {
            Stage::Prefilter => self.contents.prefixes.iter().any(|prefixes| !prefixes.is_empty()),
            Stage::Service => !self.contents.services.is_empty() || self.waits,
            Stage::Nat => false,
        }
    }

    /// Packets per second that a stage takes off the host.
    pub(crate) fn value(&self, stage: Stage) -> f64 {
        match stage {
            Stage::Prefilter => self.prefilter,
            Stage::Service => self.service,
            Stage::Nat => 0.0,
        }
    }

    /// What all stages are worth, with a lead for what is there.
    pub(crate) fn worth(&self, held: &CardContents) -> f64 {
        let value = self.prefilter + self.service;
        if self.is_held(held) { value * LOYALTY + LOYALTY_RATE } else { value }
    }

    /// Whether the card does the same already, be it at another hook: what stands in while a hook refuses has no lead.
    pub(crate) fn is_held(&self, held: &CardContents) -> bool {
        held.program.is_some_and(|program| program.stages == self.program.stages)
    }

    /// How many entries it has that were asked for.
    pub(crate) fn entries(&self) -> usize {
        let prefixes: usize = self.contents.prefixes.iter().map(BTreeMap::len).sum();
        prefixes + self.contents.services.len()
    }

    /// How much of a stage's tables is there.
    pub(crate) fn share(&self, stage: Stage) -> &[TableShare] {
        match stage {
            Stage::Prefilter => &self.prefilter_share,
            Stage::Service => &self.service_share,
            Stage::Nat => &[],
        }
    }
}

/// Why no service of a family may be on the card.
fn why_closed(family: usize, forest: &Forest, chosen: Option<&ChosenPrefixes>) -> Option<String> {
    let word = ["IPv4", "IPv6"][family];
    match chosen {
        _ if forest.is_empty() => None,
        Some(chosen) if chosen.whole => None,
        Some(chosen) => Some(format!(
            "the card holds {} of {} {word} prefixes, and services may be there only behind all of them",
            chosen.chosen.len(),
            forest.len()
        )),
        None => Some(format!(
            "{word} prefixes are configured, and services may be on the card only behind all of them"
        )),
    }
}

fn settings(chosen: &ChosenPrefixes, has_services: bool, sampled: Option<u32>) -> CardSettings {
    let flag = |is_set: bool, flag| if is_set { flag } else { 0 };
    CardSettings {
        flags: CardFlags(
            flag(!chosen.chosen.is_empty(), CardFlags::PREFILTER)
                | flag(has_services, CardFlags::SERVICE)
                | flag(sampled.is_some(), CardFlags::SAMPLE),
        ),
        version: CARD_ABI_VERSION,
        sample_mask: sampled.unwrap_or(0),
        reserved: 0,
        lengths: lengths(chosen.chosen.keys()),
    }
}

/// Which flows that begin the host tells user space of: those whose hash has none of these bits.
pub(crate) fn sampled(settings: &Settings) -> Option<u32> {
    let has_events = settings.features.has(Features::EVENTS);
    1_u32.checked_shl(settings.flow_sample_shift).filter(|_| has_events).map(|flows| flows - 1)
}

/// Sizes of the program's tables: twice of what is wanted, if the card has room for it. Tables that are there stay as
/// they are while they are large enough, because another size means another program.
fn sizes(program: CardProgram, room: &Room, offer: &Offer) -> BTreeMap<CardTable, u32> {
    let of_family = |family| {
        let of = offer.eligible.iter().filter(|service| service.family() == family);
        of.count()
    };
    let wanted = |table| match table {
        CardTable::Prefixes4 => offer.forests[0].len(),
        CardTable::Prefixes6 => offer.forests[1].len(),
        CardTable::Services4 => of_family(0),
        CardTable::Services6 => of_family(1),
        CardTable::Slots => offer.eligible.iter().map(Eligible::slots).sum(),
        CardTable::Backends | CardTable::Sent => {
            offer.eligible.iter().map(Eligible::backends).sum()
        }
        CardTable::Settings | CardTable::Counts => 0,
    };
    let tables: Vec<_> = program.stages.tables().collect();
    let wanted = |table| u32::try_from(wanted(table)).unwrap_or(u32::MAX).max(1);
    let suffices = |table: &CardTable| {
        let held = offer.held.sizes.get(table).copied().unwrap_or(0);
        held >= wanted(*table).min(room.of(*table)) && held <= room.of(*table)
    };
    if offer.held.program == Some(program) && tables.iter().all(suffices) {
        return offer.held.sizes.clone();
    }
    let size = |table: CardTable| {
        let doubled = wanted(table).saturating_mul(2).checked_next_power_of_two();
        let wanted = table.fixed_entries().or(doubled).unwrap_or(u32::MAX);
        (table, wanted.min(room.of(table)))
    };
    let mut sizes: BTreeMap<_, _> = tables.into_iter().map(size).collect();
    // A counter for each backend.
    if let (Some(&backends), Some(&sent)) =
        (sizes.get(&CardTable::Backends), sizes.get(&CardTable::Sent))
    {
        sizes.insert(CardTable::Backends, backends.min(sent));
        sizes.insert(CardTable::Sent, backends.min(sent));
    }
    sizes
}

/// Services that no card delivers, by reason.
pub(crate) fn grouped(
    refused: impl IntoIterator<Item = (sluice_model::Name, String)>,
) -> Vec<LeftOut> {
    let mut groups = Grouped::default();
    for (name, why) in refused {
        groups.add(&name, &why);
    }
    groups.told()
}
