//! How the kernel's netdevsim behaves as a NIC that takes programs and encrypts, point by point: what Sluice is built on.
//! A kernel for which a point fails has changed, and then the planner's knowledge must too.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

#[path = "netdevsim/exclusion.rs"]
mod exclusion;
#[path = "netdevsim/ipsec.rs"]
mod ipsec;
#[path = "netdevsim/knobs.rs"]
mod knobs;
#[path = "netdevsim/orphans.rs"]
mod orphans;
#[path = "netdevsim/packets.rs"]
mod packets;
#[path = "netdevsim/programs.rs"]
mod programs;
#[path = "netdevsim/tables.rs"]
mod tables;
#[path = "netdevsim/tc.rs"]
mod tc;
