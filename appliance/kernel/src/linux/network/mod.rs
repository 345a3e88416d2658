//! Links, addresses, routes and neighbours over route netlink.

mod parse;
mod watch;

use super::netlink::{Netlink, Refusal};
use crate::{
    Errno, Error, InterfaceAddress, Link, Neighbour, NetworkEvents, Object, Result, Routing,
    Unroutable,
};
use futures_util::future::{BoxFuture, FutureExt};
use netlink_packet_core::NLM_F_CREATE;
use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::AddressMessage,
    link::LinkMessage,
    neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType},
};
use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

/// The network namespace of the thread that opened it.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Netlink>>);

impl Network {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn open() -> Result<Self> {
        let netlink =
            Netlink::open().map_err(|refusal| failed("open a netlink socket", refusal))?;
        Ok(Self(Arc::new(Mutex::new(netlink))))
    }

    /// Asks on a thread that may wait: the kernel answers at once, but for its lock it may have to wait for a
    /// network card that is being reset.
    fn ask<T: Send + 'static>(
        &self,
        operation: &'static str,
        ask: impl FnOnce(&mut Netlink) -> Result<T, Refusal> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        let netlink = self.0.clone();
        let asked = tokio::task::spawn_blocking(move || {
            ask(&mut netlink.lock().unwrap_or_else(PoisonError::into_inner))
        });
        async move {
            match asked.await {
                Ok(answer) => answer.map_err(|refusal| failed(operation, refusal)),
                // The runtime is ending.
                Err(_) => Err(Error::kernel(Object::Network, operation, Errno::ECANCELED)),
            }
        }
        .boxed()
    }
}

pub(super) fn failed(operation: &'static str, refusal: Refusal) -> Error {
    let Refusal { errno, text } = refusal;
    Error::Kernel { object: Object::Network, operation, errno, kernel: text }
}

impl crate::Network for Network {
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>> {
        self.ask("list the links", |netlink| {
            let messages = netlink.list(RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
            Ok(messages.iter().filter_map(parse::link).collect())
        })
    }

    fn addresses(&self) -> BoxFuture<'_, Result<Vec<InterfaceAddress>>> {
        self.ask("list the addresses", |netlink| {
            let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
            Ok(netlink.list(request)?.iter().filter_map(parse::address).collect())
        })
    }

    fn route(&self, destination: IpAddr) -> BoxFuture<'_, Result<Routing>> {
        self.ask("ask for a route", move |netlink| route(netlink, destination))
    }

    fn neighbours(&self) -> BoxFuture<'_, Result<Vec<Neighbour>>> {
        self.ask("list the neighbours", |netlink| {
            let request = RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default());
            Ok(netlink.list(request)?.iter().filter_map(parse::neighbour).collect())
        })
    }

    fn probe(&self, address: IpAddr, ifindex: u32) -> BoxFuture<'_, Result<()>> {
        self.ask("probe a neighbour", move |netlink| {
            let mut request = NeighbourMessage::default();
            request.header.family = family(address);
            request.header.ifindex = ifindex;
            // As if a packet were to be sent there: an unknown neighbour is asked for, a stale one confirmed.
            request.header.flags = NeighbourFlags::Use;
            request.attributes.push(NeighbourAttribute::Destination(address.into()));
            netlink.request(RouteNetlinkMessage::NewNeighbour(request), NLM_F_CREATE).map(drop)
        })
    }

    fn watch(&self) -> Result<NetworkEvents> {
        watch::watch()
    }
}

fn family(address: IpAddr) -> AddressFamily {
    match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

fn route(netlink: &mut Netlink, destination: IpAddr) -> Result<Routing, Refusal> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(destination);
    request.header.destination_prefix_length = if destination.is_ipv4() { 32 } else { 128 };
    request.attributes.push(RouteAttribute::Destination(RouteAddress::from(destination)));
    let answer = match netlink.request(RouteNetlinkMessage::GetRoute(request), 0) {
        Ok(answer) => answer,
        Err(refusal) => return unroutable(refusal.errno).map(Routing::Not).ok_or(refusal),
    };
    let route = answer.into_iter().find_map(|message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(route),
        _ => None,
    });
    Ok(route.map_or(Routing::Not(Unroutable::NoRoute), |route| routing(&route)))
}

/// What a refusal says about the route: the kernel answers as it would to a packet.
fn unroutable(errno: Errno) -> Option<Unroutable> {
    match errno {
        Errno::ENETUNREACH => Some(Unroutable::NoRoute),
        Errno::EHOSTUNREACH => Some(Unroutable::Unreachable),
        Errno::EACCES => Some(Unroutable::Prohibited),
        Errno::EINVAL => Some(Unroutable::Blackhole),
        _ => None,
    }
}

fn routing(message: &RouteMessage) -> Routing {
    let why = match message.header.kind {
        RouteType::Unicast => {
            let route = parse::route(message);
            return route.map_or(Routing::Not(Unroutable::NoRoute), Routing::Via);
        }
        RouteType::Local => Unroutable::Local,
        RouteType::Unreachable => Unroutable::Unreachable,
        RouteType::Prohibit => Unroutable::Prohibited,
        RouteType::BlackHole => Unroutable::Blackhole,
        RouteType::Broadcast | RouteType::Anycast | RouteType::Multicast => Unroutable::NotUnicast,
        _ => Unroutable::NoRoute,
    };
    Routing::Not(why)
}
