//! The service stage as XDP on a card.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod base;
mod counters;
mod object;
mod services;
mod xdp;

use aya_ebpf::{macros::xdp, programs::XdpContext};
use sluice_datapath::card::CardTables;

struct Maps;

impl CardTables for Maps {
    base_tables!();
    service_tables!();
}

/// Sends on what a service on the card takes.
#[xdp]
fn sluice_card(context: XdpContext) -> u32 {
    xdp::run(&context, &Maps)
}
