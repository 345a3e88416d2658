//! What the tables of the datapath hold, as far as plans depend on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use sluice_model::Name;

use crate::{
    Sizes, Ways,
    facts::Endpoint,
    stages::{
        nat::Pools,
        prefilter::Prefilters,
        service::{
            addresses::Addresses,
            plan::Indices,
            state::{BackendState, ServiceState},
        },
    },
};

/// The state of the tables. Cloning it copies little: what a plan doesn't change is shared.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) sizes: Sizes,
    pub(crate) services: BTreeMap<Name, Arc<ServiceState>>,
    pub(crate) retired: Vec<Arc<Retired>>,
    pub(crate) indices: Indices,
    pub(crate) addresses: Addresses,
    pub(crate) pools: Pools,
    pub(crate) prefilters: Prefilters,
    /// What the backends' entries were computed from.
    pub(crate) ways: Ways,
}

/// A service that was removed, as long as packets or remembered flows may refer to it.
#[derive(Clone, Debug)]
pub(crate) struct Retired {
    pub(crate) service: ServiceState,
    /// Tick in which it was removed.
    pub(crate) since: u32,
}

impl Default for State {
    fn default() -> Self {
        Self {
            sizes: Sizes::smallest(),
            services: BTreeMap::new(),
            retired: Vec::new(),
            indices: Indices::default(),
            addresses: Addresses::default(),
            pools: Pools::default(),
            prefilters: Prefilters::default(),
            ways: Ways::default(),
        }
    }
}

impl State {
    /// Empty tables of these sizes.
    #[must_use]
    pub fn empty(sizes: Sizes) -> Self {
        Self { sizes, ..Self::default() }
    }

    /// Sizes of the tables.
    #[must_use]
    pub fn sizes(&self) -> &Sizes {
        &self.sizes
    }

    /// A service by its name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&ServiceState> {
        self.services.get(name).map(Arc::as_ref)
    }

    /// All services, by name.
    pub fn services(&self) -> impl Iterator<Item = (&Name, &ServiceState)> {
        self.services.iter().map(|(name, service)| (name, service.as_ref()))
    }

    /// Names of the services, by index: to say what counters and events are about.
    #[must_use]
    pub fn names(&self) -> BTreeMap<u32, Name> {
        self.services.iter().map(|(name, service)| (service.index, name.clone())).collect()
    }

    /// All backends with their service, by id.
    #[must_use]
    pub fn backends(&self) -> BTreeMap<u32, (&Name, &Endpoint, &BackendState)> {
        let mut backends = BTreeMap::new();
        for (name, service) in &self.services {
            for (endpoint, backend) in &service.backends {
                backends.insert(backend.id, (name, endpoint, backend));
            }
        }
        backends
    }

    /// The addresses that packets are sent to: those whose ways [`crate::Facts::ways`] should tell.
    #[must_use]
    pub fn destinations(&self) -> BTreeSet<IpAddr> {
        let backends = self.services.values().flat_map(|service| service.backends.keys());
        backends.map(|endpoint| endpoint.address).collect()
    }

    /// Whether time alone may change something: plan again in a while.
    #[must_use]
    pub fn is_in_transition(&self) -> bool {
        !self.retired.is_empty() || self.services.values().any(|s| s.is_in_transition())
    }

    /// Addresses of NAT pools in use, with their numbers.
    pub fn pool_numbers(&self) -> impl Iterator<Item = (IpAddr, u32)> {
        self.pools.numbers()
    }

    /// Different IPv4 and IPv6 prefixes of the prefilter; zero while that is not known (after a takeover).
    #[must_use]
    pub fn prefixes(&self) -> (usize, usize) {
        (self.prefilters.prefixes4(), self.prefilters.prefixes6())
    }
}
