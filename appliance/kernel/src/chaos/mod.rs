//! Backends that fail on demand: each wraps another and asks its [`Faults`] before every call.

mod card;
mod datapath;
mod faults;
mod ipsec;
mod network;
mod tunnel_link;

pub use card::Cards;
pub use datapath::Datapath;
pub use faults::Faults;
pub use ipsec::Ipsec;
pub use network::Network;
pub use tunnel_link::TunnelLinks;
