use super::Faults;
use crate::{Error, InterfaceAddress, Link, Neighbour, NetworkEvents, Object, Result, Routing};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::net::IpAddr;

/// A network whose calls fail on demand, by the names of the trait's methods.
pub struct Network<N> {
    inner: N,
    faults: Faults,
}

impl<N: crate::Network> Network<N> {
    /// Wraps a network.
    pub fn new(inner: N, faults: Faults) -> Self {
        Self { inner, faults }
    }

    fn check(&self, call: &'static str) -> Result<()> {
        self.faults.check(call).map_err(|errno| Error::kernel(Object::Network, call, errno))
    }

    fn unless<'a, T: Send + 'a>(
        &'a self,
        call: &'static str,
        run: impl FnOnce(&'a N) -> BoxFuture<'a, Result<T>>,
    ) -> BoxFuture<'a, Result<T>> {
        match self.check(call) {
            Ok(()) => run(&self.inner),
            Err(error) => ready(Err(error)).boxed(),
        }
    }
}

impl<N: crate::Network> crate::Network for Network<N> {
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>> {
        self.unless("links", N::links)
    }

    fn addresses(&self) -> BoxFuture<'_, Result<Vec<InterfaceAddress>>> {
        self.unless("addresses", N::addresses)
    }

    fn route(&self, destination: IpAddr) -> BoxFuture<'_, Result<Routing>> {
        self.unless("route", |inner| inner.route(destination))
    }

    fn neighbours(&self) -> BoxFuture<'_, Result<Vec<Neighbour>>> {
        self.unless("neighbours", N::neighbours)
    }

    fn probe(&self, address: IpAddr, ifindex: u32) -> BoxFuture<'_, Result<()>> {
        self.unless("probe", |inner| inner.probe(address, ifindex))
    }

    fn watch(&self) -> Result<NetworkEvents> {
        self.check("watch")?;
        self.inner.watch()
    }
}
