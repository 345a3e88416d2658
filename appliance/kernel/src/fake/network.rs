use super::World;
use crate::{InterfaceAddress, Link, Neighbour, NetworkEvents, Result, Routing, Unroutable};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::net::IpAddr;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The network side of a [`World`].
#[derive(Clone)]
pub struct Network(World);

impl Network {
    pub(super) fn new(world: World) -> Self {
        Self(world)
    }
}

fn now<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    ready(Ok(value)).boxed()
}

impl crate::Network for Network {
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>> {
        now(self.0.lock().links.values().map(|link| link.link.clone()).collect())
    }

    fn addresses(&self) -> BoxFuture<'_, Result<Vec<InterfaceAddress>>> {
        now(self.0.lock().addresses.clone())
    }

    fn route(&self, destination: IpAddr) -> BoxFuture<'_, Result<Routing>> {
        let state = self.0.lock();
        let local = state.addresses.iter().any(|known| known.address == destination);
        now(match state.routes.get(&destination) {
            _ if local => Routing::Not(Unroutable::Local),
            Some(routing) => routing.clone(),
            None => Routing::Not(Unroutable::NoRoute),
        })
    }

    fn neighbours(&self) -> BoxFuture<'_, Result<Vec<Neighbour>>> {
        now(self.0.lock().neighbours.values().copied().collect())
    }

    fn probe(&self, address: IpAddr, ifindex: u32) -> BoxFuture<'_, Result<()>> {
        self.0.lock().probes.push((address, ifindex));
        now(())
    }

    fn watch(&self) -> Result<NetworkEvents> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        self.0.lock().watchers.push(sender);
        Ok(Box::pin(UnboundedReceiverStream::new(receiver)))
    }
}
