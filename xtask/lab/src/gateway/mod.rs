//! The gateway under test: its configuration, the daemon `sluiced`, the command `sluice`, and what it answers.

mod answers;
mod command;
mod configuration;
mod daemon;
mod http;

pub(crate) use answers::{BackendState, LinkState, StageState};
pub(crate) use command::Sluice;
pub(crate) use daemon::{Daemon, Programs};
