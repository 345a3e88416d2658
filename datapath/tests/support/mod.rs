//! Packets and cases as text, for the tests that run them natively and in the kernel.
#![allow(unreachable_pub, dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod apply;
pub mod corpus;
pub mod frame;
pub mod wire;
