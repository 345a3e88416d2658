//! The plan: what is to be done, in order, to make the datapath do what is wanted.

use sluice_datapath::abi::{Settings, Table};
use sluice_model::{
    AttachMode,
    status::{Placement, StageStatus},
};

use crate::{Sizes, State, Write};

/// What is to be done, and what the state is once it is done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In this order. Empty if everything is as it should be.
    pub steps: Vec<Step>,
    /// What changes, in words; in an order that depends on nothing but the change.
    pub notes: Vec<Note>,
    /// Where each stage runs on each link of the configuration, in its order.
    pub placements: Vec<LinkPlacement>,
    /// The state after the steps. The next plan begins with it; after a failure, begin with what the tables say.
    pub next: State,
}

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Make tables larger: stage tables of these sizes, fill and copy in the staged set, then commit it with these
    /// programs.
    Grow(Grow),
    /// Sets counters to zero, because these indices get another meaning.
    ResetCounters {
        /// Ids of backends.
        backends: Vec<u32>,
        /// Indices of services.
        services: Vec<u32>,
    },
    /// Forget all translated flows of this number of a pool address: it belongs to another address now.
    ForgetRecords {
        /// The number.
        number: u32,
    },
    /// Write entries into the tables in use.
    Write(Write),
    /// Attach the program to a link, or replace the one that is there.
    Attach {
        /// The link.
        link: String,
        /// Constants of the program.
        settings: Settings,
        /// Where it is to run.
        mode: AttachMode,
        /// Whether somebody else's program may be detached.
        replace_foreign: bool,
        /// Why.
        reason: String,
    },
    /// Take the program from a link that is no longer in the configuration.
    Detach {
        /// The link.
        link: String,
        /// Its index.
        ifindex: u32,
    },
}

/// Larger tables.
#[derive(Clone, Debug)]
pub struct Grow {
    /// Sizes of all tables.
    pub sizes: Sizes,
    /// Those that grow, with their size so far.
    pub tables: Vec<(Table, u32)>,
    /// Entries moved within a staged table.
    pub copies: Vec<Copy>,
    /// Contents of staged tables.
    pub fill: Vec<Write>,
    /// Programs of the links that run one.
    pub programs: Vec<Settings>,
}

/// Entries of a staged table that get another place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copy {
    /// The table.
    pub table: Table,
    /// First entry.
    pub from: u32,
    /// Its new place.
    pub to: u32,
    /// How many.
    pub entries: u32,
}

/// What changes for one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The object: `Service/web`.
    pub object: String,
    /// What.
    pub message: String,
}

impl std::fmt::Display for Note {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.message)
    }
}

/// Where the stages run on one link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkPlacement {
    /// The link.
    pub link: String,
    /// Its stages, in the order of the packet's way.
    pub stages: Vec<StageStatus>,
}

impl LinkPlacement {
    /// Where the host's program runs, or will run.
    #[must_use]
    pub fn host(&self) -> Option<Placement> {
        self.stages.iter().find_map(|stage| stage.behind.or(stage.placement))
    }
}
