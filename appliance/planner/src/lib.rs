//! From what is wanted and what is known to what the tables shall hold: pure functions, no I/O, no clock.
//!
//! [`plan()`] takes the desired objects, the [`Facts`] that the daemon gathered, the [`State`] of the tables and the
//! slots as they are in the kernel, and gives a [`Plan`]: steps in the order in which they are safe while packets
//! flow, what changes in words, where each stage runs, and the state to plan from next.
//!
//! | module | subject |
//! |---|---|
//! | [`change`] | how one slot changes so that no flow of a living backend is moved |
//! | [`stages`] | one folder per stage: desired state to table entries, and placement |
//! | [`identity`] | who has which index in which table |
//! | [`card`] | what runs on network cards, which entries, in which order |
//! | [`facts`] | what must be known of the world |

pub mod card;
pub mod change;
mod clock;
mod draft;
mod error;
pub mod facts;
pub mod identity;
mod plan;
mod planner;
mod programs;
mod report;
mod settings;
mod sizes;
pub mod stages;
mod state;
mod takeover;
mod ways;
mod words;
mod write;

pub use clock::Clock;
pub use error::Error;
pub use facts::Facts;
pub use plan::{Copy, Grow, LinkPlacement, Note, Plan, Step};
pub use planner::plan;
pub use report::{LinkReport, Report};
pub use sizes::Sizes;
pub use stages::{prefilter::PrefilterWords, service::slots::SlotWords};
pub use state::State;
pub use takeover::Snapshot;
pub use ways::Ways;
pub use words::TableWords;
pub use write::{Run, Sink, Write};
