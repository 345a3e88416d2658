//! The prefilter as XDP on a card.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod base;
mod counters;
mod object;
mod prefixes;
mod xdp;

use aya_ebpf::{macros::xdp, programs::XdpContext};
use sluice_datapath::card::CardTables;

struct Maps;

impl CardTables for Maps {
    base_tables!();
    prefix_tables!();
}

/// Drops what a prefix on the card denies.
#[xdp]
fn sluice_card(context: XdpContext) -> u32 {
    xdp::run(&context, &Maps)
}
