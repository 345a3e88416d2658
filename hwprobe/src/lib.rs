//! Finds out what a link can do, and writes it down as a [`sluice_profile::Profile`] with the evidence of every line.
//!
//! - [`probe`]: asks the kernel about a link, and tries what it claims.
//! - [`cli`]: the command `hwprobe`.
//!
//! A probe disturbs no traffic: what needs a hook that is in use, or would stop the queues of a driver, is left out with the
//! reason, unless [`Options::disruptive`] is set.

mod ask;
pub mod cli;
mod probe;
mod record;

pub use probe::{Error, Extent, Options, Probed, probe};
