//! One folder per stage of the pipeline: how desired state becomes entries of its tables, and where it runs.

pub mod nat;
mod placement;
pub mod prefilter;
pub mod service;

pub(crate) use placement::{other_place, placements};
