//! The native target: tables in memory, for tests, the fuzzer and 'what would happen to this packet?'.

mod card;
pub mod generator;
mod memory;
pub mod scenario;
mod tables;

pub use card::{CardFull, CardWrite, MemoryCard};
pub use memory::Memory;
pub use tables::MemoryTables;

use crate::{Outcome, card::CardVerdict, packet::MemoryPacket};

/// [`crate::run`] on memory, compiled here: tests of other crates, which are built for debugging, run it as fast.
pub fn run_host(packet: &mut MemoryPacket, tables: &MemoryTables) -> Outcome {
    crate::run(packet, tables)
}

/// [`crate::card::run`] on memory.
pub fn run_card(packet: &mut MemoryPacket, card: &MemoryCard) -> CardVerdict {
    crate::card::run(packet, card)
}
