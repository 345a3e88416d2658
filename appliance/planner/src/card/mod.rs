//! What runs on network cards: which stages, which entries, and in which order they are written.
//!
//! The host's program is complete. A card finishes packets only as the host would have, so whatever is on it may be
//! taken off at any moment, and what does not fit stays with the host. [`plan_cards`] chooses for each link of the
//! configuration, from what its card is known to take ([`sluice_profile::Profile`]), what the operator wants and what
//! is measured ([`Heat`]); it says for every place that a stage does not run in why not and what would change that.
//!
//! | module | subject |
//! |---|---|
//! | [`heat`] | packets per second of services and prefixes |
//! | [`prefixes`] | which prefixes are on the card: by heat, closed under what the host lets through |
//! | [`services`] | which services are, by heat |
//! | `need` | what the programs need, held against a profile |
//! | `candidate`, `choose` | what each program would hold and be worth; which one is taken |
//! | [`change`] | the order of the writes |

mod candidate;
pub mod change;
mod choose;
mod contents;
mod entry;
pub mod heat;
mod need;
mod obstacle;
mod plan;
pub mod prefixes;
mod report;
pub mod services;

use std::{collections::BTreeMap, sync::Arc};

use sluice_datapath::abi::CardTable;
use sluice_profile::{Hook, Profile};

pub use change::CardChange;
pub use contents::{CardContents, CardProgram, CardStages, hook_of, placement_of};
pub use entry::{CardEntry, CardServiceKey, CardStep};
pub use heat::{Heat, HeatMeter};
pub use obstacle::Obstacle;
pub use plan::{CardPlan, CardStage, Cards, CardsPlan, plan_cards};
pub use prefixes::Forest;
pub use report::{CardReport, CardsReport};
pub use services::CardServiceImage;

/// What is known of the card of a link.
#[derive(Clone, Debug, Default)]
pub struct CardFacts {
    /// What it can do.
    pub profile: Option<Arc<Profile>>,
    /// What it could do before it could less: a stage is still wanted where it could be then.
    pub once: Option<Arc<Profile>>,
    /// Why there is no profile.
    pub unprobed: Option<String>,
    /// What it runs and holds now.
    pub held: CardContents,
    /// What it refused at a hook, until that is tried again.
    pub refused: BTreeMap<Hook, Refusal>,
    /// Sizes of tables that it was found to take, where the profile promises more.
    pub limits: BTreeMap<CardTable, u32>,
}

impl CardFacts {
    /// Whether the card is known to run programs, or once did, or runs one of ours: only then it matters what there is to put on it.
    #[must_use]
    pub fn takes_programs(&self) -> bool {
        let runs = |profile: &Profile, hook: &Hook| profile.program_offload(*hook).holds();
        let mut profiles = self.profile.iter().chain(&self.once);
        self.held.program.is_some()
            || profiles.any(|profile| Hook::ALL.iter().any(|hook| runs(profile, hook)))
    }
}

/// What a card refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What, in a sentence.
    pub reason: String,
    /// The kernel's words.
    pub words: String,
    /// What to do, besides waiting for the next try.
    pub change: Option<String>,
}

impl Refusal {
    fn obstacle(&self) -> Obstacle {
        let change = self.change.clone();
        Obstacle { reason: self.reason.clone(), evidence: Some(self.words.clone()), change }
    }
}
