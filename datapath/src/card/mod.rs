//! The pipeline of a network card that runs programs of ours: the stages that take work away from the host.
//!
//! The host's programs are complete. The card finishes a packet, by dropping it or by sending it back out, only where
//! the host would have done the same with the same bytes; every other packet it passes to the host as it came. So its
//! tables may hold any part of the host's, see [`crate::abi::CardTable`].
//!
//! A card takes what the host's fast program takes, less what would make its program longer: untagged, whole TCP and
//! UDP packets without IPv4 options or IPv6 extension headers. Parsing, hashing and encapsulation are the host's code.

mod pipeline;
mod prefilter;
mod service;
mod tables;

pub use pipeline::run;
pub use tables::{CardOutcome, CardTables, CardVerdict};
