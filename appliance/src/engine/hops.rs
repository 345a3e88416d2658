//! Next hops: for each address that packets are sent to, the link they leave by and the hardware address they go to.
//!
//! Route, link and neighbour of an address are remembered, so that an event costs no more than what it concerns.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use sluice_kernel::{Link, Neighbour, NeighbourState, NetworkEvent, Route, Routing, Unroutable};
use sluice_planner::Ways;
use sluice_planner::facts::NextHop;

/// Why packets to an address cannot leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unresolved {
    /// The route was not asked for yet.
    Unasked,
    /// The kernel sends no packets there.
    Unroutable(Unroutable),
    /// The route leads to a link that is not known (yet).
    NoLink(u32),
    /// The link has no hardware address.
    NotEthernet(String),
    /// A VLAN link on a VLAN link.
    NestedVlan(String),
    /// The neighbour has not answered yet.
    Asking(IpAddr, String),
    /// The neighbour does not answer.
    Silent(IpAddr, String),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unasked => f.write_str("the route is being looked up"),
            Self::Unroutable(why) => why.fmt(f),
            Self::NoLink(ifindex) => {
                write!(f, "the route leads to link number {ifindex}, which is gone")
            }
            Self::NotEthernet(link) => {
                write!(f, "the route leads to link {link}, which is not Ethernet")
            }
            Self::NestedVlan(link) => {
                write!(f, "the route leads to link {link}, a VLAN on a VLAN: one tag is supported")
            }
            Self::Asking(neighbour, link) => {
                write!(f, "{neighbour} on link {link} has not answered yet")
            }
            Self::Silent(neighbour, link) => {
                write!(f, "{neighbour} on link {link} does not answer (ARP or NDP)")
            }
        }
    }
}

/// What an event asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Followup {
    /// Nothing more.
    None,
    /// Read all routes again.
    Routes,
    /// Read everything again.
    Everything,
}

#[derive(Debug)]
struct Way {
    routing: Option<Routing>,
    hop: Result<NextHop, Unresolved>,
}

/// A neighbour: an address on a link.
pub(super) type Next = (IpAddr, u32);

/// All that is known of ways.
#[derive(Debug, Default)]
pub(super) struct Hops {
    links: HashMap<u32, Link>,
    neighbours: HashMap<Next, Neighbour>,
    ways: HashMap<IpAddr, Way>,
    /// The addresses whose way leads over a neighbour, and over a link.
    over: HashMap<Next, BTreeSet<IpAddr>>,
    changed: HashSet<IpAddr>,
    /// The hops as plans are told them.
    told: Ways,
}

impl Hops {
    /// Where packets to each address leave.
    pub(super) fn ways(&self) -> Ways {
        self.told.clone()
    }

    /// Makes these the addresses whose ways are known; returns those whose route must be asked for.
    pub(super) fn want(&mut self, addresses: &HashSet<IpAddr>) -> Vec<IpAddr> {
        let gone: Vec<_> =
            self.ways.keys().filter(|address| !addresses.contains(address)).copied().collect();
        for address in gone {
            self.unlink(address);
            self.ways.remove(&address);
            self.changed.remove(&address);
            self.told.remove(&address);
        }
        self.want_too(addresses.iter().copied())
    }

    /// The same for addresses besides those whose ways are known already.
    pub(super) fn want_too(&mut self, addresses: impl IntoIterator<Item = IpAddr>) -> Vec<IpAddr> {
        let mut new = Vec::new();
        for address in addresses {
            if !self.ways.contains_key(&address) {
                self.set_hop(address, None, Err(Unresolved::Unasked));
                new.push(address);
            }
        }
        new
    }

    fn set_hop(
        &mut self,
        address: IpAddr,
        routing: Option<Routing>,
        hop: Result<NextHop, Unresolved>,
    ) {
        self.told.insert(address, hop.clone().map_err(|why| why.to_string()));
        self.ways.insert(address, Way { routing, hop });
    }

    /// How many addresses' ways are known.
    pub(super) fn len(&self) -> usize {
        self.ways.len()
    }

    /// All addresses whose ways are known.
    pub(super) fn wanted(&self) -> Vec<IpAddr> {
        self.ways.keys().copied().collect()
    }

    /// Where packets to this address leave.
    pub(super) fn hop(&self, address: IpAddr) -> Result<NextHop, Unresolved> {
        self.ways.get(&address).map_or(Err(Unresolved::Unasked), |way| way.hop.clone())
    }

    /// All links.
    pub(super) fn links(&self) -> impl Iterator<Item = &Link> {
        self.links.values()
    }

    /// Whether VLAN links stand on a link.
    pub(super) fn has_vlans(&self, ifindex: u32) -> bool {
        self.links.values().any(|link| link.vlan.is_some() && link.parent == Some(ifindex))
    }

    /// Whether an answer about the next hop may still come.
    pub(super) fn is_asking(&self, address: IpAddr) -> bool {
        matches!(self.hop(address), Err(Unresolved::Asking(..) | Unresolved::Unasked))
    }

    /// The link with this number.
    pub(super) fn link(&self, ifindex: u32) -> Option<&Link> {
        self.links.get(&ifindex)
    }

    /// The link with this name.
    pub(super) fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The addresses whose hop changed since this was last asked.
    pub(super) fn take_changed(&mut self) -> HashSet<IpAddr> {
        std::mem::take(&mut self.changed)
    }

    /// All links, as read from the kernel.
    pub(super) fn set_links(&mut self, links: Vec<Link>) {
        self.links = links.into_iter().map(|link| (link.ifindex, link)).collect();
        self.resolve_all();
    }

    /// All neighbours, as read from the kernel.
    pub(super) fn set_neighbours(&mut self, neighbours: Vec<Neighbour>) {
        let mut before = std::mem::take(&mut self.neighbours);
        for neighbour in neighbours {
            let key = (neighbour.address, neighbour.ifindex);
            let known = before.remove(&key);
            self.neighbours.insert(key, merged(known, neighbour));
        }
        // What the kernel forgot is asked for again; until the answer comes the old one holds.
        for (key, known) in before {
            if known.usable_mac().is_some() && self.over.contains_key(&key) {
                self.neighbours.insert(key, Neighbour { state: NeighbourState::Stale, ..known });
            }
        }
        self.resolve_all();
    }

    /// The answer for one address.
    pub(super) fn set_route(&mut self, address: IpAddr, routing: Routing) {
        if !self.ways.contains_key(&address) {
            return;
        }
        self.unlink(address);
        if let Routing::Via(route) = routing {
            self.over.entry(next(address, &route)).or_default().insert(address);
        }
        if let Some(way) = self.ways.get_mut(&address) {
            way.routing = Some(routing);
        }
        self.resolve(address);
    }

    /// Takes in what changed.
    pub(super) fn learn(&mut self, event: NetworkEvent) -> Followup {
        match event {
            NetworkEvent::Link(link) => {
                let ifindex = link.ifindex;
                if self.links.insert(ifindex, link.clone()) != Some(link) {
                    self.resolve_over_link(ifindex);
                }
                Followup::None
            }
            NetworkEvent::LinkGone { ifindex, .. } => {
                self.links.remove(&ifindex);
                self.neighbours.retain(|(_, on), _| *on != ifindex);
                self.resolve_over_link(ifindex);
                Followup::Routes
            }
            NetworkEvent::Address(_) | NetworkEvent::AddressGone(_) | NetworkEvent::Route => {
                Followup::Routes
            }
            NetworkEvent::Neighbour(neighbour) => {
                let key = (neighbour.address, neighbour.ifindex);
                let known = self.neighbours.remove(&key);
                self.neighbours.insert(key, merged(known, neighbour));
                self.resolve_over(key);
                Followup::None
            }
            NetworkEvent::NeighbourGone { address, ifindex } => {
                let key = (address, ifindex);
                match self.neighbours.get_mut(&key) {
                    Some(known) if known.usable_mac().is_some() && self.over.contains_key(&key) => {
                        known.state = NeighbourState::Stale;
                    }
                    _ => drop(self.neighbours.remove(&key)),
                }
                self.resolve_over(key);
                Followup::None
            }
            NetworkEvent::Overrun => Followup::Everything,
        }
    }

    /// The neighbours that must be asked: those that ways lead over and whose address is not known for sure, and
    /// whether nothing at all is known of them.
    pub(super) fn doubtful(&self) -> Vec<(Next, bool)> {
        let state =
            |key: &Next| self.neighbours.get(key).map(|neighbour| (neighbour.state, neighbour.mac));
        let ask = |key: &Next| match state(key) {
            None | Some((NeighbourState::Failed | NeighbourState::None, _)) => Some(true),
            Some((NeighbourState::Stale, _)) => Some(false),
            Some(_) => None,
        };
        let on_ethernet =
            |key: &&Next| self.links.get(&key.1).is_some_and(|link| link.mac.is_some());
        self.over.keys().filter(on_ethernet).filter_map(|key| Some((*key, ask(key)?))).collect()
    }

    fn unlink(&mut self, address: IpAddr) {
        let Some(Way { routing: Some(Routing::Via(route)), .. }) = self.ways.get(&address) else {
            return;
        };
        let key = next(address, route);
        if let Some(users) = self.over.get_mut(&key) {
            users.remove(&address);
            if users.is_empty() {
                self.over.remove(&key);
            }
        }
    }

    fn resolve_all(&mut self) {
        for address in self.wanted() {
            self.resolve(address);
        }
    }

    fn resolve_over(&mut self, key: Next) {
        for address in self.over.get(&key).cloned().unwrap_or_default() {
            self.resolve(address);
        }
    }

    fn resolve_over_link(&mut self, ifindex: u32) {
        // A VLAN link depends on the link below it.
        let depends = |on: u32| {
            on == ifindex || self.links.get(&on).is_some_and(|link| link.parent == Some(ifindex))
        };
        let keys: Vec<_> = self.over.keys().filter(|(_, on)| depends(*on)).copied().collect();
        for key in keys {
            self.resolve_over(key);
        }
    }

    fn resolve(&mut self, address: IpAddr) {
        let Some(way) = self.ways.get(&address) else { return };
        let hop = match &way.routing {
            None => Err(Unresolved::Unasked),
            Some(Routing::Not(why)) => Err(Unresolved::Unroutable(*why)),
            Some(Routing::Via(route)) => self.hop_of(address, route),
        };
        if let Some(way) = self.ways.get_mut(&address)
            && way.hop != hop
        {
            self.told.insert(address, hop.clone().map_err(|why| why.to_string()));
            way.hop = hop;
            self.changed.insert(address);
        }
    }

    fn hop_of(&self, address: IpAddr, route: &Route) -> Result<NextHop, Unresolved> {
        let link = self.links.get(&route.ifindex).ok_or(Unresolved::NoLink(route.ifindex))?;
        let source_mac = link.mac.ok_or_else(|| Unresolved::NotEthernet(link.name.clone()))?;
        let ifindex = match (link.vlan, link.parent) {
            (None, _) => link.ifindex,
            (Some(_), parent) => {
                let parent = parent.unwrap_or_default();
                let below = self.links.get(&parent).ok_or(Unresolved::NoLink(parent))?;
                if below.vlan.is_some() {
                    return Err(Unresolved::NestedVlan(link.name.clone()));
                }
                parent
            }
        };
        let key = next(address, route);
        let neighbour = self.neighbours.get(&key);
        let mac = neighbour.and_then(|neighbour| match neighbour.state {
            // Being asked again after the kernel forgot it: the old answer holds until there is a new one.
            NeighbourState::Incomplete => neighbour.mac,
            _ => neighbour.usable_mac(),
        });
        let Some(mac) = mac else {
            let silent =
                neighbour.is_some_and(|neighbour| neighbour.state == NeighbourState::Failed);
            let why = if silent { Unresolved::Silent } else { Unresolved::Asking };
            return Err(why(key.0, link.name.clone()));
        };
        let mtu = route.mtu.unwrap_or(link.mtu).min(link.mtu);
        Ok(NextHop { ifindex, vlan: link.vlan, mac, source_mac, mtu, source: route.source })
    }
}

fn next(address: IpAddr, route: &Route) -> Next {
    (route.gateway.unwrap_or(address), route.ifindex)
}

/// A neighbour that is asked again has no hardware address in the kernel: the one from before holds.
fn merged(known: Option<Neighbour>, mut neighbour: Neighbour) -> Neighbour {
    if neighbour.state == NeighbourState::Incomplete && neighbour.mac.is_none() {
        neighbour.mac = known.and_then(|known| known.mac);
    }
    neighbour
}

#[cfg(test)]
mod tests;
