//! Everything of Sluice that talks to the kernel: the only crate with system calls and `unsafe`.
//!
//! - [`TableStore`] and [`View`]: the tables of `sluice_datapath::abi` as memory that the datapath reads.
//! - [`Datapath`]: tables, programs and their attachment to links, counters and events.
//! - [`Cards`]: programs and tables on network cards.
//! - [`Network`]: links, addresses, routes and neighbours.
//! - [`Ipsec`]: states, policies and what the kernel tells of them; [`xfrm`] is their netlink messages.
//! - [`TunnelLinks`]: xfrm interfaces and WireGuard devices, whose peers are in [`wireguard`].
//!
//! Each trait has three backends: [`fake`] (in memory), [`chaos`] (wraps another and fails on demand) and [`linux`].
//! Everything acts in the network namespace of the calling thread.

mod attach;
mod card;
pub mod chaos;
mod datapath;
mod error;
mod event;
pub mod fake;
mod growth;
mod ipsec;
pub mod linux;
mod network;
mod object;
mod sizes;
mod store;
mod tunnel_link;
mod view;
pub mod wireguard;
pub mod xfrm;

pub use attach::{
    AttachMode, AttachRequest, Attached, Attachment, ForeignProgram, ProgramStats, XdpMode,
};
pub use card::{
    CardActual, CardEntry, CardForeign, CardHook, CardLoader, CardProgram, CardRefusal,
    CardRequest, CardSizes, CardState, CardStep, CardTableContents, CardTableOf, CardTableState,
    Cards, ForeignFilter, LoadedCard, Placed, Removed, card_tables,
};
pub use datapath::{Committed, Datapath, Opened, Takeover};
pub use error::Error;
pub use event::Events;
pub use ipsec::{
    Fallback, Flushed, Installed, Ipsec, IpsecEvent, IpsecEvents, IpsecRefusal, IpsecThing, Owner,
    PlacedState, kept_wrong, place_state,
};
pub use network::{
    InterfaceAddress, Link, Neighbour, NeighbourState, Network, NetworkEvent, NetworkEvents, Route,
    Routing, Unroutable,
};
pub use nix::errno::Errno;
pub use object::{LinkName, Object};
pub use sizes::Sizes;
pub use store::TableStore;
pub use tunnel_link::{TunnelLink, TunnelLinkKind, TunnelLinks};
pub use view::{ServiceName, TableOf, View, tables};

/// What most calls return.
pub type Result<T, E = Error> = std::result::Result<T, E>;
