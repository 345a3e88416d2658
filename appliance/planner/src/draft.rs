use std::collections::BTreeMap;

use sluice_datapath::abi::{
    Address, Backend, Move, PortRange, Service, SourceRange4, SourceRange6, VipLine,
};

use crate::{Note, Run, Write};

/// What a plan writes, collected by table; [`Draft::writes`] puts it into the order in which it is safe: what is
/// referred to before what refers to it, and what is taken away last.
#[derive(Default)]
pub(crate) struct Draft {
    /// Backends that are new or stay.
    pub(crate) backends: BTreeMap<u32, Backend>,
    /// Backends that are gone or no longer used.
    pub(crate) lost_backends: BTreeMap<u32, Backend>,
    pub(crate) sources4: Vec<Run<SourceRange4>>,
    pub(crate) sources6: Vec<Run<SourceRange6>>,
    pub(crate) moves: Vec<Run<Move>>,
    pub(crate) slots: Vec<Run<u64>>,
    pub(crate) services: BTreeMap<u32, Service>,
    /// Services that are no longer used.
    pub(crate) lost_services: BTreeMap<u32, Service>,
    pub(crate) names: BTreeMap<u32, [u64; 8]>,
    pub(crate) pool: BTreeMap<u32, Address>,
    pub(crate) port_ranges: Vec<Run<PortRange>>,
    pub(crate) vip4: Vec<Run<VipLine>>,
    pub(crate) vip6: Vec<Run<VipLine>>,
    /// Halves of the prefilter that are not active, then the switch.
    pub(crate) prefilter: Vec<Write>,
    /// Ids that get another meaning: their counters begin at zero.
    pub(crate) new_backends: Vec<u32>,
    /// Indices that get another meaning.
    pub(crate) new_services: Vec<u32>,
    /// Numbers of pool addresses whose records belonged to another address.
    pub(crate) reused_numbers: Vec<u32>,
    pub(crate) notes: Vec<Note>,
}

impl Draft {
    pub(crate) fn note(&mut self, object: impl ToString, message: impl Into<String>) {
        self.notes.push(Note { object: object.to_string(), message: message.into() });
    }

    /// All writes in their order.
    pub(crate) fn writes(self) -> Vec<Write> {
        let mut writes = Vec::new();
        writes.extend(Run::join(self.backends).into_iter().map(Write::Backends));
        writes.extend(self.sources4.into_iter().map(Write::Sources4));
        writes.extend(self.sources6.into_iter().map(Write::Sources6));
        writes.extend(self.moves.into_iter().map(Write::Moves));
        writes.extend(self.slots.into_iter().map(Write::Slots));
        writes.extend(Run::join(self.pool).into_iter().map(Write::NatPool));
        writes.extend(Run::join(self.services).into_iter().map(Write::Services));
        writes.extend(Run::join(self.names).into_iter().map(Write::ServiceNames));
        writes.extend(self.port_ranges.into_iter().map(Write::PortRanges));
        writes.extend(self.vip4.into_iter().map(Write::Vip4));
        writes.extend(self.vip6.into_iter().map(Write::Vip6));
        writes.extend(Run::join(self.lost_backends).into_iter().map(Write::Backends));
        writes.extend(Run::join(self.lost_services).into_iter().map(Write::Services));
        writes.extend(self.prefilter);
        writes
    }
}
