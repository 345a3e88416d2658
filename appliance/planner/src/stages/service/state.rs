//! What the tables hold of one service, as far as the next plan must know it.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use sluice_datapath::abi::{Backend, NatPool, SlotRange};
use sluice_model::{Object, TunnelSource};

use super::{
    record::{ServiceRecord, SourceRegion},
    sources::SourceRanges,
};
use crate::facts::{Endpoint, ServiceFacts};

/// What a backend does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Takes new flows.
    Serving,
    /// Takes none until its first good probe.
    Waiting,
    /// Takes none because it has no weight.
    Weightless,
    /// Keeps its flows until the drain deadline.
    Draining,
    /// The drain deadline is over.
    Expired,
    /// Switched off.
    Disabled,
    /// Its probes fail.
    Down,
}

impl Condition {
    /// Whether its flows are lost.
    #[must_use]
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Expired | Self::Disabled | Self::Down)
    }

    /// In words.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Waiting => "waiting for its first good probe",
            Self::Weightless => "without weight",
            Self::Draining => "draining",
            Self::Expired => "past its drain deadline",
            Self::Disabled => "disabled",
            Self::Down => "down",
        }
    }
}

/// One backend of a service.
#[derive(Clone, Debug)]
pub struct BackendState {
    /// Its id.
    pub id: u32,
    /// What it does.
    pub condition: Condition,
    /// It is no longer in the configuration, but may have flows.
    pub is_removed: bool,
    /// Tick in which it began to drain or was removed.
    pub leaving: Option<u32>,
    /// Slots whose new flows it gets.
    pub slots: u32,
    /// Why packets cannot be sent to it.
    pub unreachable: Option<String>,
    /// Tick since which nothing refers to it any more.
    pub(crate) unreferenced: Option<u32>,
    /// Its entry in the table.
    pub(crate) record: Backend,
}

impl BackendState {
    pub(crate) fn is_serving(&self) -> bool {
        self.condition == Condition::Serving
    }
}

/// One service.
#[derive(Clone, Debug)]
pub struct ServiceState {
    /// Its index.
    pub index: u32,
    /// Its slots.
    pub slots: SlotRange,
    /// How many of them are moving.
    pub moving: u32,
    /// Its backends; removed ones too as long as they may have flows.
    pub backends: BTreeMap<Endpoint, BackendState>,
    /// Whether some of them go away with time.
    pub(crate) is_left: bool,
    /// Whether packets to some of them carry a VLAN tag.
    pub(crate) has_vlans: bool,
    /// Ticks after which a flow that sent nothing may be forgotten.
    pub idle_ticks: u32,
    /// Its allowed sources.
    pub(crate) sources: SourceRanges,
    /// Its entry in the table. `None` if that is not known.
    pub(crate) record: Option<ServiceRecord>,
    /// Who shares the slots: ids and weights, by id. `None` if that is not known.
    pub(crate) members: Option<Vec<(u32, u32)>>,
    /// What it was computed from. `None` if that is not known.
    pub(crate) inputs: Option<Inputs>,
}

impl ServiceState {
    /// Whether time alone may change something.
    #[must_use]
    pub fn is_in_transition(&self) -> bool {
        self.moving > 0 || self.is_left
    }

    /// Whether one of these backends goes away with time.
    pub(crate) fn is_left(backends: &BTreeMap<Endpoint, BackendState>) -> bool {
        let leaves =
            |backend: &BackendState| backend.is_removed || backend.condition == Condition::Draining;
        backends.values().any(leaves)
    }

    /// Whether packets are sent to one of these addresses.
    pub(crate) fn is_at(&self, addresses: &HashSet<IpAddr>) -> bool {
        !addresses.is_empty()
            && self.backends.keys().any(|endpoint| addresses.contains(&endpoint.address))
    }

    /// Where its allowed sources stand in their table.
    pub(crate) fn source_region(&self) -> SourceRegion {
        self.record.map(|record| record.sources).unwrap_or_default()
    }

    /// How many slots there are.
    #[must_use]
    pub fn slot_count(&self) -> u32 {
        self.slots.mask + 1
    }
}

/// What a service is computed from, besides the ways to its backends.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    pub(crate) object: Arc<Object>,
    pub(crate) facts: Option<Arc<ServiceFacts>>,
    pub(crate) tunnel_source: TunnelSource,
    pub(crate) pool: NatPool,
    pub(crate) tick_shift: u32,
}

impl Inputs {
    pub(crate) fn are(&self, other: &Self) -> bool {
        let same_facts = match (&self.facts, &other.facts) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        same_facts
            && Arc::ptr_eq(&self.object, &other.object)
            && self.tunnel_source == other.tunnel_source
            && self.pool == other.pool
            && self.tick_shift == other.tick_shift
    }
}
