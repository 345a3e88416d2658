use crate::Result;
use futures_util::{future::BoxFuture, stream::BoxStream};
use std::{fmt, net::IpAddr};

/// Links, addresses, routes and neighbours of the network namespace in which it was opened.
pub trait Network: Send + Sync {
    /// All links.
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>>;

    /// The addresses of all links.
    fn addresses(&self) -> BoxFuture<'_, Result<Vec<InterfaceAddress>>>;

    /// Which way a packet of this host to `destination` takes.
    fn route(&self, destination: IpAddr) -> BoxFuture<'_, Result<Routing>>;

    /// All known neighbours, both families.
    fn neighbours(&self) -> BoxFuture<'_, Result<Vec<Neighbour>>>;

    /// Asks the kernel to find out (or confirm) the hardware address of a neighbour. The answer comes as
    /// [`NetworkEvent::Neighbour`].
    fn probe(&self, address: IpAddr, ifindex: u32) -> BoxFuture<'_, Result<()>>;

    /// What changes from now on. Several streams may exist; each sees everything.
    ///
    /// Must be called in a Tokio runtime.
    fn watch(&self) -> Result<NetworkEvents>;
}

/// Changes as they come.
pub type NetworkEvents = BoxStream<'static, NetworkEvent>;

/// A change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkEvent {
    /// A link is new or changed.
    Link(Link),
    /// A link is gone.
    LinkGone {
        /// Its name.
        name: String,
        /// Its index.
        ifindex: u32,
    },
    /// An address is new or changed.
    Address(InterfaceAddress),
    /// An address is gone.
    AddressGone(InterfaceAddress),
    /// Some route changed: ask again for the routes that matter.
    Route,
    /// A neighbour is new or changed.
    Neighbour(Neighbour),
    /// A neighbour is gone.
    NeighbourGone {
        /// Its address.
        address: IpAddr,
        /// The link it was on.
        ifindex: u32,
    },
    /// Changes were lost because they came faster than they were read: read everything again.
    Overrun,
}

/// A network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// Hardware address, if it is Ethernet.
    pub mac: Option<[u8; 6]>,
    /// Longest IP packet in bytes.
    pub mtu: u32,
    /// Switched on by the administrator.
    pub up: bool,
    /// Has a carrier, as far as the kernel knows.
    pub carrier: bool,
    /// Kind in the kernel's words (`veth`, `vlan`, `bond`); none for hardware and loopback.
    pub kind: Option<String>,
    /// The link below, such as a VLAN's.
    pub parent: Option<u32>,
    /// The bond or bridge that it belongs to.
    pub controller: Option<u32>,
    /// VLAN id, for VLAN links.
    pub vlan: Option<u16>,
}

/// An address of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceAddress {
    /// The link.
    pub ifindex: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of the prefix.
    pub prefix_length: u8,
}

/// What the kernel does with packets to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Sends them.
    Via(Route),
    /// Does not send them.
    Not(Unroutable),
}

/// The way to a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The link to leave by.
    pub ifindex: u32,
    /// The router, if the destination is not on the link.
    pub gateway: Option<IpAddr>,
    /// The source address that this host would use.
    pub source: Option<IpAddr>,
    /// Longest packet of the way where a route or a learned path says so; else the link's counts.
    pub mtu: Option<u32>,
}

/// Why packets to a destination are not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unroutable {
    /// There is no route.
    NoRoute,
    /// A route says unreachable.
    Unreachable,
    /// A route says prohibited.
    Prohibited,
    /// A route says discard.
    Blackhole,
    /// The destination is an address of this host.
    Local,
    /// The destination is no unicast address.
    NotUnicast,
}

impl fmt::Display for Unroutable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "there is no route",
            Self::Unreachable => "the route says unreachable",
            Self::Prohibited => "the route says prohibited",
            Self::Blackhole => "the route says blackhole",
            Self::Local => "it is an address of this host",
            Self::NotUnicast => "it is no unicast address",
        })
    }
}

/// A neighbour on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// The link.
    pub ifindex: u32,
    /// Its IP address.
    pub address: IpAddr,
    /// Its hardware address, if known.
    pub mac: Option<[u8; 6]>,
    /// What the kernel thinks of it.
    pub state: NeighbourState,
}

impl Neighbour {
    /// The hardware address, if packets may be sent there.
    pub fn usable_mac(&self) -> Option<[u8; 6]> {
        self.mac.filter(|_| self.state.is_usable())
    }
}

/// What the kernel thinks of a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NeighbourState {
    /// Being asked for.
    Incomplete,
    /// Answered lately.
    Reachable,
    /// Known, not confirmed lately.
    Stale,
    /// Used without confirmation, about to be asked again.
    Delay,
    /// Being asked again.
    Probe,
    /// Does not answer.
    Failed,
    /// Set by the administrator.
    Permanent,
    /// The link needs no resolution.
    NoArp,
    /// No state.
    None,
}

impl NeighbourState {
    /// Whether the hardware address may be used.
    pub fn is_usable(self) -> bool {
        match self {
            Self::Reachable
            | Self::Stale
            | Self::Delay
            | Self::Probe
            | Self::Permanent
            | Self::NoArp => true,
            Self::Incomplete | Self::Failed | Self::None => false,
        }
    }
}
