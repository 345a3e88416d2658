//! The stage `service`: virtual addresses, allowed sources, slots, backends.

pub mod addresses;
pub mod backend;
pub mod balance;
pub(crate) mod plan;
pub mod ports;
mod record;
pub mod slots;
pub mod sources;
pub mod state;
pub mod vip;

pub(crate) use record::{ServiceRecord, read_name};
pub(crate) use sources::SourceRanges;
