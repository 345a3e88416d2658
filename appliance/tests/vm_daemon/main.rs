//! The daemon on a simulated NIC: configured through its API, asked by its API and its command, and looked at with
//! `bpftool`, `tc` and the debug file system of the driver, which know nothing of it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod daemon;
mod eyes;
mod placement;
mod scene;
mod trouble;
