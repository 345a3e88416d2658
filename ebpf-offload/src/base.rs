//! The maps that every program has.

use crate::counters::{add, count};
use aya_ebpf::{btf_maps::Array, macros::btf_map};
use sluice_datapath::{
    abi::{CardCounts, CardSettings},
    card::CardOutcome,
};

#[btf_map]
static CARD_SETTINGS: Array<CardSettings, { CardSettings::COUNT as usize }> = Array::new();

#[btf_map]
static CARD_COUNTS: Array<CardCounts, 1> = Array::new();

#[inline(always)]
pub fn settings(family: u32) -> Option<&'static CardSettings> {
    CARD_SETTINGS.get(family)
}

#[inline(always)]
pub fn count_outcome(outcome: CardOutcome, bytes: usize) {
    let Some(counts) = CARD_COUNTS.get_ptr_mut(0) else { return };
    // SAFETY: a value of a map.
    unsafe {
        match outcome {
            CardOutcome::Sent => count(&raw mut (*counts).sent, bytes),
            CardOutcome::Denied => count(&raw mut (*counts).denied, bytes),
            CardOutcome::Unfit => add(&raw mut (*counts).unfit, 1),
            CardOutcome::Missed => add(&raw mut (*counts).missed, 1),
            CardOutcome::Deferred => add(&raw mut (*counts).deferred, 1),
        }
    }
}

/// The methods of `CardTables` that every program has.
#[macro_export]
macro_rules! base_tables {
    () => {
        #[inline(always)]
        fn settings(&self, family: u32) -> Option<&sluice_datapath::abi::CardSettings> {
            $crate::base::settings(family)
        }

        #[inline(always)]
        fn count(&self, outcome: sluice_datapath::card::CardOutcome, bytes: usize) {
            $crate::base::count_outcome(outcome, bytes);
        }
    };
}
