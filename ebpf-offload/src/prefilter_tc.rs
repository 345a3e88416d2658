//! The prefilter as a classifier on a card.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod base;
mod counters;
mod object;
mod prefixes;
mod tc;

use aya_ebpf::{macros::classifier, programs::TcContext};
use sluice_datapath::card::CardTables;

struct Maps;

impl CardTables for Maps {
    base_tables!();
    prefix_tables!();
}

/// Drops what a prefix on the card denies.
#[classifier]
fn sluice_card(context: TcContext) -> i32 {
    tc::run(&context, &Maps)
}
