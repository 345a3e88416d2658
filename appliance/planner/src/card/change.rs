//! The order of a change of what a card holds, so that it is true at every moment.
//!
//! 1. Before the host's tables change, what will not be true any more is withdrawn: services, then denying prefixes.
//!    What only lets packets through to the host stays: it is harmless until the end, and a denying prefix that stays
//!    may need it until the host has changed.
//! 2. The host changes.
//! 3. What is true now is added: first allowing prefixes that are too many go; then come allowing ones, denying ones,
//!    backends, slots, and last the services that use them.
//!
//! A whole stage of a family is switched off and on by one word: services of a family while its prefixes change (they
//! are there only behind a complete prefilter), the prefilter while the lengths change that it looks up. Of backends
//! and slots only those are written that no service on the card uses.
//!
//! Every step can be taken back, in reverse order. After a failure in the third phase the card holds a true part; after
//! one in the first the host must not change before the card has none of it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use sluice_datapath::abi::{CardBackend, CardFlags, CardSettings, CardSlot};

use super::{
    contents::CardContents,
    entry::{CardEntry, CardStep},
    services::CardServiceImage,
};

/// The writes of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardChange {
    /// Before the host's tables change.
    pub withdraw: Vec<CardStep>,
    /// After it. Without meaning where the program is replaced: the new one begins with all it shall hold.
    pub add: Vec<CardStep>,
}

impl CardChange {
    /// From what a card holds to what it shall hold; both for the same program and tables, or one with another program,
    /// of which only the withdrawal is of use.
    #[must_use]
    pub fn between(old: &CardContents, new: &CardContents) -> Self {
        let mut change = Self::default();
        let mut settings = old.settings;
        let families = [0, 1].map(|family| Family::of(family, old, new));
        for (family, judged) in families.iter().enumerate() {
            let mut flags = settings[family].flags.0;
            if judged.services_pause {
                flags &= !CardFlags::SERVICE;
            }
            let paused = CardSettings { flags: CardFlags(flags), ..settings[family] };
            set(&mut change.withdraw, family, &mut settings, paused);
        }
        let gone =
            |(name, image): &(&_, &CardServiceImage)| new.services.get(*name) != Some(*image);
        for (_, image) in old.services.iter().filter(gone) {
            change.withdraw.push(CardStep::Remove { entry: image.key.entry(image.entry) });
        }
        for judged in &families {
            let entries = judged.withdrawn.iter().map(|net| CardEntry::prefix(net, true));
            change.withdraw.extend(entries.map(|entry| CardStep::Remove { entry }));
        }
        for (family, judged) in families.iter().enumerate() {
            judged.add(family, &mut change.add, &mut settings, new);
        }
        let stood = Stood::of(old);
        let comes =
            |(name, image): &(&_, &CardServiceImage)| old.services.get(*name) != Some(*image);
        for (_, image) in new.services.iter().filter(comes) {
            add_service(&mut change.add, image, &stood);
        }
        for family in [0, 1] {
            set(&mut change.add, family, &mut settings, new.settings[family]);
        }
        change
    }

    /// Whether nothing is to be done.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.withdraw.is_empty() && self.add.is_empty()
    }
}

/// Writes the settings of a family, if they differ.
fn set(
    steps: &mut Vec<CardStep>,
    family: usize,
    settings: &mut [CardSettings; 2],
    wanted: CardSettings,
) {
    let before = std::mem::replace(&mut settings[family], wanted);
    if before != wanted {
        let entry = |settings| CardEntry::Settings(family as u32, settings);
        steps.push(CardStep::Put { entry: entry(wanted), before: Some(entry(before)) });
    }
}

/// What changes among the prefixes of a family.
struct Family<'a> {
    old: &'a BTreeMap<IpNet, bool>,
    new: &'a BTreeMap<IpNet, bool>,
    /// Denying prefixes that must go before the host changes.
    withdrawn: BTreeSet<IpNet>,
    /// The services of the family are off during the change.
    services_pause: bool,
}

impl<'a> Family<'a> {
    fn of(family: usize, old: &'a CardContents, new: &'a CardContents) -> Self {
        let (before, after) = (&old.prefixes[family], &new.prefixes[family]);
        let lengths: BTreeSet<u8> = before.keys().map(IpNet::prefix_len).collect();
        let comes = |net: &IpNet, deny: bool| !deny && before.get(net) != Some(&false);
        let came = after.iter().filter(|(net, deny)| comes(net, **deny)).map(|(net, _)| net);
        // What lets packets through from now on, and what drops those packets as long as it isn't there.
        let around = came.flat_map(|net| {
            let shorter = lengths.iter().filter(|&&length| length <= net.prefix_len());
            shorter.filter_map(|length| IpNet::new(net.addr(), *length).ok().map(|net| net.trunc()))
        });
        let mut withdrawn: BTreeSet<IpNet> =
            around.filter(|net| before.get(net) == Some(&true)).collect();
        let denied = before.iter().filter(|(_, deny)| **deny).map(|(net, _)| *net);
        withdrawn.extend(denied.filter(|net| after.get(net) != Some(&true)));
        // Whatever else of the settings changes, such as which flows are sampled, is for services.
        let is_off = !new.settings[family].flags.has(CardFlags::SERVICE);
        let same = CardSettings { flags: new.settings[family].flags, ..old.settings[family] };
        let services_pause = before != after
            || is_off
            || old.settings[family].flags.0 & CardFlags::SAMPLE
                != new.settings[family].flags.0 & CardFlags::SAMPLE
            || same != new.settings[family];
        Self { old: before, new: after, withdrawn, services_pause }
    }

    /// The prefixes, and what is looked up.
    fn add(
        &self,
        family: usize,
        steps: &mut Vec<CardStep>,
        settings: &mut [CardSettings; 2],
        new: &CardContents,
    ) {
        let wanted = new.settings[family];
        let lengths_change = settings[family].lengths != wanted.lengths;
        if lengths_change || settings[family].sample_mask != wanted.sample_mask {
            let off = |flags: CardFlags, bits: u32| CardFlags(flags.0 & !bits);
            let bits = CardFlags::SERVICE | if lengths_change { CardFlags::PREFILTER } else { 0 };
            let paused =
                CardSettings { flags: off(settings[family].flags, bits), ..settings[family] };
            set(steps, family, settings, paused);
            set(steps, family, settings, CardSettings { flags: paused.flags, ..wanted });
        }
        let too_many =
            self.old.iter().filter(|(net, deny)| !**deny && self.new.get(*net) != Some(&false));
        for (net, _) in too_many {
            steps.push(CardStep::Remove { entry: CardEntry::prefix(net, false) });
        }
        for deny in [false, true] {
            let is_there = |net: &IpNet| {
                self.old.get(net) == Some(&deny) && !(deny && self.withdrawn.contains(net))
            };
            let come = self.new.iter().filter(|(net, other)| **other == deny && !is_there(net));
            steps.extend(come.map(|(net, _)| CardStep::add(CardEntry::prefix(net, deny))));
        }
    }
}

/// What stood in the arrays.
struct Stood<'a> {
    backends: BTreeMap<u32, &'a CardBackend>,
    /// Slots of each service by the first.
    slots: BTreeMap<u32, &'a [CardSlot]>,
}

impl<'a> Stood<'a> {
    fn of(old: &'a CardContents) -> Self {
        let images = || old.services.values();
        let backends = images().flat_map(|image| &image.backends);
        Self {
            backends: backends.map(|(number, backend)| (*number, backend)).collect(),
            slots: images().map(|image| (image.entry.base, &*image.slots)).collect(),
        }
    }

    fn slot(&self, index: u32) -> Option<&CardSlot> {
        let (base, slots) = self.slots.range(..=index).next_back()?;
        slots.get((index - base) as usize)
    }
}

fn add_service(steps: &mut Vec<CardStep>, image: &CardServiceImage, stood: &Stood) {
    for (number, backend) in &image.backends {
        let before = stood.backends.get(number).copied();
        if before.is_none_or(|before| before.backend != backend.backend) {
            steps.push(CardStep::add(CardEntry::Sent(*number)));
        }
        if before != Some(backend) {
            let before = before.map(|before| CardEntry::Backend(*number, *before));
            steps.push(CardStep::Put { entry: CardEntry::Backend(*number, *backend), before });
        }
    }
    for (index, slot) in (image.entry.base..).zip(image.slots.iter()) {
        let before = stood.slot(index);
        if before != Some(slot) {
            let before = before.map(|before| CardEntry::Slot(index, *before));
            steps.push(CardStep::Put { entry: CardEntry::Slot(index, *slot), before });
        }
    }
    steps.push(CardStep::add(image.key.entry(image.entry)));
}
