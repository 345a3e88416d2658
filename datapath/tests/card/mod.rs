//! An emulated card in front of the host's pipeline: what a card may hold of the host's tables, in which order it is
//! told, and whether anybody can tell from the packets that it is there.
//!
//! The subsets are chosen by chance and the writer is written for these tests alone: a mistake of the planner's shall
//! not hide one of the card's programs, nor the other way round.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used)]

pub mod directed;
pub mod pair;
pub mod subset;
pub mod writer;
