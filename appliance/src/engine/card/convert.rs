//! The planner's words for cards as the kernel crate's.

use std::collections::BTreeMap;

use sluice_datapath::abi::{CardPrefix, CardTable, Count, PrefilterWord};
use sluice_kernel::{
    CardEntry as Bytes, CardHook, CardProgram as KernelProgram, CardRequest, CardTableContents,
    Cards, Result, card_tables,
};
use sluice_planner::card::{CardContents, CardEntry, CardProgram, CardStages, CardStep};
use sluice_profile::Hook;

pub(super) const fn hook(hook: Hook) -> CardHook {
    match hook {
        Hook::Xdp => CardHook::Xdp,
        Hook::ClsBpf => CardHook::Tc,
    }
}

const fn program(stages: CardStages) -> KernelProgram {
    match stages {
        CardStages::Prefilter => KernelProgram::Prefilter,
        CardStages::Service => KernelProgram::Service,
        CardStages::Both => KernelProgram::Both,
    }
}

/// A program with everything it holds.
pub(super) fn request(ifindex: u32, of: CardProgram, contents: &CardContents) -> CardRequest {
    let mut tables: BTreeMap<CardTable, Vec<Bytes>> = BTreeMap::new();
    for entry in contents.entries() {
        tables.entry(entry.table()).or_default().push(bytes(&entry));
    }
    let of_table = |(table, entries)| CardTableContents { table, entries };
    CardRequest {
        ifindex,
        hook: hook(of.hook),
        program: program(of.stages),
        sizes: contents.sizes.iter().map(|(table, size)| (*table, *size)).collect(),
        contents: tables.into_iter().map(of_table).collect(),
    }
}

/// Carries out one step.
pub(super) fn write(cards: &mut dyn Cards, ifindex: u32, step: &CardStep) -> Result<()> {
    let entry = bytes(step.entry());
    let table = step.entry().table();
    match step {
        CardStep::Put { .. } => cards.upsert(ifindex, table, &entry.key, &entry.value),
        // What is not there need not be removed.
        CardStep::Remove { .. } => cards.delete(ifindex, table, &entry.key).map(|_| ()),
    }
}

fn bytes(entry: &CardEntry) -> Bytes {
    let prefix = |word: &PrefilterWord| CardPrefix { word: *word, ..CardPrefix::default() };
    match entry {
        CardEntry::Settings(family, value) => Bytes::of(card_tables::SETTINGS, family, value),
        CardEntry::Prefix4(key, word) => Bytes::of(card_tables::PREFIXES4, key, &prefix(word)),
        CardEntry::Prefix6(key, word) => Bytes::of(card_tables::PREFIXES6, key, &prefix(word)),
        CardEntry::Service4(key, value) => Bytes::of(card_tables::SERVICES4, key, value),
        CardEntry::Service6(key, value) => Bytes::of(card_tables::SERVICES6, key, value),
        CardEntry::Slot(index, value) => Bytes::of(card_tables::SLOTS, index, value),
        CardEntry::Backend(index, value) => Bytes::of(card_tables::BACKENDS, index, value),
        CardEntry::Sent(index) => Bytes::of(card_tables::SENT, index, &Count::default()),
    }
}
