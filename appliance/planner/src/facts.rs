//! What is known of the world when a plan is made: gathered by the daemon, only read here.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use sluice_datapath::abi::Settings;
use sluice_model::{Backend, DeliveryMode, Name, Port, ServiceSpec};

use crate::{Clock, Ways};

/// Everything that is known. Parts that did not change since the last plan should be the same `Arc`: what depends on
/// them alone is not computed again then.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The datapath's clock.
    pub clock: Clock,
    /// CPUs that may receive packets.
    pub cpus: u32,
    /// The links of this host by name, at least those of the configuration and those that run a program of ours.
    pub links: BTreeMap<String, LinkFacts>,
    /// Where packets to an address leave, for the addresses of [`crate::State::destinations`].
    pub ways: Ways,
    /// What is known of the backends of each service. A backend that isn't listed is not probed yet.
    pub services: Arc<HashMap<Name, Arc<ServiceFacts>>>,
    /// Ids of the backends that records of translated flows name. `None` if that is not known; removed backends of
    /// NAT services keep their ids until their drain deadline then.
    pub nat_backends: Option<Arc<HashSet<u32>>>,
}

/// A link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkFacts {
    /// Its index.
    pub ifindex: u32,
    /// Longest IP packet in bytes.
    pub mtu: u32,
    /// Whether VLAN links stand on it, so that tagged packets arrive.
    pub has_vlans: bool,
    /// Our program on it, as read from the kernel.
    pub program: Option<ProgramFacts>,
    /// Why the driver refused the program, in the kernel's words, if it was asked and did.
    pub native_refused: Option<String>,
}

/// A program of ours on a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramFacts {
    /// Whether it runs in the driver; else in the network stack.
    pub is_native: bool,
    /// Its constants, if they are known.
    pub settings: Option<Settings>,
    /// Whether it uses the tables in use now.
    pub is_current: bool,
}

/// Where packets to an address leave, or why they cannot.
pub type Way = Result<NextHop, String>;

/// The first step to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The link that the frame leaves by.
    pub ifindex: u32,
    /// The hardware address it goes to.
    pub mac: [u8; 6],
    /// Our own.
    pub source_mac: [u8; 6],
    /// The VLAN id it carries.
    pub vlan: Option<u16>,
    /// Longest IP packet of the way in bytes.
    pub mtu: u32,
    /// The source address that this host would use.
    pub source: Option<IpAddr>,
}

/// An address and port of a backend; port 0 keeps the port of the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    /// Where packets of a service arrive at one of its backends. In mode `dsr` they keep their port.
    #[must_use]
    pub fn of(service: &ServiceSpec, backend: &Backend) -> Self {
        let port = match service.mode {
            DeliveryMode::Dsr => None,
            DeliveryMode::Nat => service.backend_port(backend),
        };
        Self { address: backend.address, port: port.map_or(0, Port::get) }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.port, self.address) {
            (0, address) => address.fmt(f),
            (port, address) => std::net::SocketAddr::new(address, port).fmt(f),
        }
    }
}

/// What is known of the backends of one service.
pub type ServiceFacts = HashMap<Endpoint, BackendFacts>;

/// What is known of one backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendFacts {
    /// What its probes say. Not looked at where the service has no probes.
    pub health: Health,
    /// Tick in which it began to drain, where that is known better than by when the planner first heard of it.
    pub draining_since: Option<u32>,
}

/// What the probes of a backend say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// No probe has finished yet.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}
