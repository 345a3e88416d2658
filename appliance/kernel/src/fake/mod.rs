//! A kernel in memory, for tests of everything above this crate.
//!
//! A [`World`] is the machine: it has links, cards, routes and neighbours, keeps what is "pinned" when a [`Datapath`]
//! or [`Cards`] are dropped, and lets a test play the outside: delete a link, count packets, send events, let time pass.

mod card;
mod datapath;
mod ipsec;
mod network;
mod tables;
mod tunnel_link;
mod world;

pub use card::{CardBehaviour, CardNo, Cards};
pub use datapath::Datapath;
pub use ipsec::{Ipsec, IpsecCard, Taking};
pub use network::Network;
pub use tunnel_link::TunnelLinks;
pub use world::World;
