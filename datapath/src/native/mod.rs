//! The native target: tables in memory, for tests, the fuzzer and 'what would happen to this packet?'.

mod card;
pub mod generator;
mod memory;
pub mod scenario;
mod tables;

pub use card::{CardFull, CardWrite, MemoryCard};
pub use memory::Memory;
pub use tables::MemoryTables;
