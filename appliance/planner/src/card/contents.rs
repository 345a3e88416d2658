//! What a card runs and holds.

use std::collections::BTreeMap;

use ipnet::IpNet;
use sluice_datapath::abi::{CardLength, CardSettings, CardTable};
use sluice_model::{Name, Stage, status::Placement};
use sluice_profile::Hook;

use super::{
    entry::{CardEntry, CardServiceKey, CardStep},
    services::CardServiceImage,
};

/// Which stages a card's program has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardStages {
    /// The prefilter.
    Prefilter,
    /// Services.
    Service,
    /// Both, the prefilter first.
    Both,
}

impl CardStages {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Both, Self::Prefilter, Self::Service];

    /// Whether the stage is in it.
    #[must_use]
    pub const fn has(self, stage: Stage) -> bool {
        match stage {
            Stage::Prefilter => matches!(self, Self::Prefilter | Self::Both),
            Stage::Service => matches!(self, Self::Service | Self::Both),
            Stage::Nat => false,
        }
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Service => "service",
            Self::Both => "prefilter and service",
        }
    }

    /// The tables of such a program.
    pub fn tables(self) -> impl Iterator<Item = CardTable> {
        use CardTable as T;
        let of = move |table: &T| match table {
            T::Settings | T::Counts => true,
            T::Prefixes4 | T::Prefixes6 => self.has(Stage::Prefilter),
            T::Services4 | T::Services6 | T::Slots | T::Backends | T::Sent => {
                self.has(Stage::Service)
            }
        };
        T::ALL.iter().copied().filter(of)
    }
}

/// A program for a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardProgram {
    /// Where it meets packets.
    pub hook: Hook,
    /// What it does.
    pub stages: CardStages,
}

/// The placement that a hook of a card is.
#[must_use]
pub const fn placement_of(hook: Hook) -> Placement {
    match hook {
        Hook::Xdp => Placement::NicXdp,
        Hook::ClsBpf => Placement::NicTc,
    }
}

/// The hook of a placement, if it is one of a card's programs.
#[must_use]
pub const fn hook_of(placement: Placement) -> Option<Hook> {
    match placement {
        Placement::NicXdp => Some(Hook::Xdp),
        Placement::NicTc => Some(Hook::ClsBpf),
        _ => None,
    }
}

/// What a card runs and holds, as far as plans depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CardContents {
    /// The program. Without one the card holds nothing.
    pub program: Option<CardProgram>,
    /// Entries that its tables have room for.
    pub sizes: BTreeMap<CardTable, u32>,
    /// What to do, by family.
    pub settings: [CardSettings; 2],
    /// Prefixes, and whether they deny; IPv4 and IPv6.
    pub prefixes: [BTreeMap<IpNet, bool>; 2],
    /// Services.
    pub services: BTreeMap<Name, CardServiceImage>,
}

impl CardContents {
    /// Takes in a step of a withdrawal: an entry that is gone, or settings that changed. Other steps are known as a
    /// whole, by the plan that they belong to.
    pub fn apply(&mut self, step: &CardStep) {
        match *step {
            CardStep::Put { entry: CardEntry::Settings(family, settings), .. } => {
                if let Some(known) = self.settings.get_mut(family as usize) {
                    *known = settings;
                }
            }
            CardStep::Remove { entry: CardEntry::Service4(key, _) } => {
                self.services.retain(|_, image| image.key != CardServiceKey::V4(key));
            }
            CardStep::Remove { entry: CardEntry::Service6(key, _) } => {
                self.services.retain(|_, image| image.key != CardServiceKey::V6(key));
            }
            CardStep::Remove { entry } => {
                for prefixes in &mut self.prefixes {
                    prefixes.retain(|prefix, deny| CardEntry::prefix(prefix, *deny) != entry);
                }
            }
            CardStep::Put { .. } => {}
        }
    }

    /// All entries, in an order in which they can be written.
    #[must_use]
    pub fn entries(&self) -> Vec<CardEntry> {
        let mut entries = Vec::new();
        let prefixes = || self.prefixes.iter().flatten();
        entries.extend(
            prefixes().filter(|(_, deny)| !**deny).map(|(net, _)| CardEntry::prefix(net, false)),
        );
        entries.extend(
            prefixes().filter(|(_, deny)| **deny).map(|(net, _)| CardEntry::prefix(net, true)),
        );
        for image in self.services.values() {
            let backends = image.backends.iter();
            entries.extend(backends.map(|(number, backend)| CardEntry::Backend(*number, *backend)));
            let slots = (image.entry.base..).zip(image.slots.iter());
            entries.extend(slots.map(|(index, slot)| CardEntry::Slot(index, *slot)));
            entries.push(image.key.entry(image.entry));
        }
        if self.program.is_some() {
            let settings = (0..).zip(self.settings);
            entries
                .extend(settings.map(|(family, settings)| CardEntry::Settings(family, settings)));
        }
        entries
    }
}

/// The lengths of prefixes as the card reads them: longest first.
pub(crate) fn lengths<'a>(
    prefixes: impl IntoIterator<Item = &'a IpNet>,
) -> [CardLength; sluice_datapath::abi::CARD_LENGTHS] {
    let all: std::collections::BTreeSet<u32> =
        prefixes.into_iter().map(|prefix| u32::from(prefix.prefix_len())).collect();
    let mut lengths = [CardLength::UNUSED; sluice_datapath::abi::CARD_LENGTHS];
    for (place, bits) in lengths.iter_mut().zip(all.into_iter().rev()) {
        *place = CardLength::new(bits);
    }
    lengths
}
