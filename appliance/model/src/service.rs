//! A virtual address and the backends behind it.

use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::gateway::NatPool;
use crate::health::Health;
use crate::values::{Name, Port, PortSpec, Prefix, TimeSpan, Weight, address};

/// `spec` of a `Service`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceSpec {
    /// The virtual address, IPv4 or IPv6.
    #[serde(with = "address")]
    #[schemars(with = "IpAddr")]
    pub address: IpAddr,
    /// The transport protocol.
    pub protocol: Protocol,
    /// One port, a range, or `any`.
    pub port: PortSpec,
    /// How packets reach the backend.
    pub mode: DeliveryMode,
    /// The NAT pool of a service in mode `nat`. Default: the pool named `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_pool: Option<Name>,
    /// What keeps a client at its backend.
    #[serde(default)]
    pub affinity: Affinity,
    /// Sources that may use the service. Empty: all.
    #[serde(default)]
    pub allowed_sources: Vec<Prefix>,
    /// What happens while no backend is up.
    #[serde(default)]
    pub no_backend: NoBackend,
    /// After so long, flows that are still on a drained or removed backend are moved. 0s: at once.
    #[serde(default = "ServiceSpec::default_timeout")]
    pub drain_timeout: TimeSpan,
    /// A flow that sent nothing for so long may be forgotten.
    #[serde(default = "ServiceSpec::default_timeout")]
    pub idle_timeout: TimeSpan,
    /// The servers.
    #[serde(default)]
    pub backends: Vec<Backend>,
    /// How the backends are probed.
    #[serde(default)]
    pub health: Health,
}

impl ServiceSpec {
    fn default_timeout() -> TimeSpan {
        TimeSpan::from_duration(Duration::from_mins(5))
    }

    /// The name of the NAT pool this service uses, if it is in mode `nat`.
    #[must_use]
    pub fn nat_pool_name(&self) -> Option<&str> {
        match self.mode {
            DeliveryMode::Dsr => None,
            DeliveryMode::Nat => {
                Some(self.nat_pool.as_ref().map_or(NatPool::DEFAULT_NAME, Name::as_str))
            }
        }
    }

    /// The port packets arrive at on `backend`; `None` keeps the port the client chose (a range, or any port).
    #[must_use]
    pub fn backend_port(&self, backend: &Backend) -> Option<Port> {
        backend.port.or_else(|| self.port.exact())
    }

    /// The port probes of `backend` go to; `None` only for objects that [`validate`](crate::validate()) refuses.
    #[must_use]
    pub fn health_port(&self, backend: &Backend) -> Option<Port> {
        self.health.port.or_else(|| self.backend_port(backend))
    }
}

/// The transport protocol of a service.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Protocol {
    /// TCP, protocol number 6.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP, protocol number 17.
    #[serde(rename = "UDP")]
    Udp,
}

impl Protocol {
    /// The IANA protocol number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How packets reach the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryMode {
    /// Direct server return: encapsulated in IP, unchanged inside; the backend answers the client itself.
    Dsr,
    /// Destination and source are rewritten; the answer comes back through the gateway.
    Nat,
}

/// What keeps a client at its backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Affinity {
    /// Nothing: each connection is balanced by itself.
    #[default]
    None,
    /// The source address: all connections of a client reach one backend.
    Source,
}

/// What happens while no backend is up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum NoBackend {
    /// Packets are dropped and counted.
    #[default]
    Refuse,
    /// Probes are disbelieved: all active backends stay in use.
    KeepAll,
}

/// One server of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backend {
    /// The server's address.
    #[serde(with = "address")]
    #[schemars(with = "IpAddr")]
    pub address: IpAddr,
    /// The port packets are sent to; only in mode `nat`. Default: the service's port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// The share of new flows, relative to the other backends; 0 receives none.
    #[serde(default)]
    pub weight: Weight,
    /// What the operator wants of it.
    #[serde(default)]
    pub state: BackendState,
}

/// What the operator wants of a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum BackendState {
    /// Receives new flows while it is healthy.
    #[default]
    Active,
    /// Keeps its flows until `drainTimeout`, receives no new ones.
    Drain,
    /// Receives nothing, its flows are moved at once.
    Disabled,
}
