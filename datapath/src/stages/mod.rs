//! The stages of the pipeline, one file or folder each.

mod account;
mod encapsulate;
mod ethernet;
mod event;
mod flow;
mod fragment;
mod icmp;
mod nat;
pub mod parse;
pub mod prefilter;
mod select;
pub mod service;
mod too_big;

pub(crate) use account::{account, count_service};
pub(crate) use encapsulate::{Tunnel, into_tunnel};
pub(crate) use event::{began, dropped, is_sampled, samples};
pub use flow::{Flow, Fragmented};
pub(crate) use fragment::later as later_fragment;
pub(crate) use icmp::error as icmp_error;
pub(crate) use select::chooser;
pub(crate) use too_big::answer as answer_too_big;
