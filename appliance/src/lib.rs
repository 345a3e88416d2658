//! The daemon `sluiced` and the command `sluice`.
//!
//! | module | subject |
//! |---|---|
//! | [`store`] | desired objects: files, API, the database with candidates and revisions |
//! | [`engine`] | the reconcile loop, the only writer to the kernel |
//! | [`health`] | probes of backends |
//! | [`event`] | the log of what happened |
//! | [`access`] | who may do what |
//! | [`series`] | rates over time |
//! | [`api`] | HTTP: objects, state, events, metrics |
//! | [`wire`] | what the API says, as types |
//! | [`cli`] | the command |
//! | [`supervisor`] | what the service manager is told |
//! | [`daemon`] | how the parts of the daemon are put together |

pub mod access;
pub mod api;
pub mod cli;
pub mod daemon;
mod emulated_card;
pub mod engine;
pub mod event;
pub mod health;
mod probe_card;
pub mod series;
pub mod store;
pub mod supervisor;
mod tls;
mod trace;
pub mod wire;
