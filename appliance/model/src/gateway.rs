//! What belongs to the whole gateway: its links, tunnel sources, NAT pools and table sizes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::placement::{Offload, Pin, Placement, Policy, Stage};
use crate::values::{LinkName, Name, PortRange, address};

/// `spec` of a `Gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewaySpec {
    /// Links whose packets the gateway handles. Without a link it handles none.
    pub links: Vec<Link>,
    /// Outer source addresses of DSR encapsulation.
    pub tunnel_source: TunnelSource,
    /// Addresses and ports that NAT services use as source towards their backends.
    pub nat_pools: Vec<NatPool>,
    /// Sizes of the tables whose size is a choice.
    pub capacity: Capacity,
    /// How many events the datapath reports.
    pub events: Events,
}

/// One network interface of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Link {
    /// The interface's name, as in `ip link`.
    pub name: LinkName,
    /// Where the XDP program is attached.
    #[serde(default)]
    pub attach: AttachMode,
    /// Replace an XDP program on this link that is not ours. Otherwise it is left alone and named in the status.
    #[serde(default)]
    pub replace_foreign: bool,
    /// Whether its card may take work from the host.
    #[serde(default)]
    pub offload: Offload,
    /// What is wanted of single placements. Without a word the planner chooses by what it measures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<Pin>,
}

impl Link {
    /// What is wanted of a placement of a stage, with the position in [`Link::placements`].
    #[must_use]
    pub fn pin(&self, stage: Stage, placement: Placement) -> Option<(usize, Policy)> {
        let mut pins = self.placements.iter().enumerate();
        pins.find(|(_, pin)| pin.stage == stage && pin.placement == placement)
            .map(|(index, pin)| (index, pin.policy))
    }
}

/// Where the XDP program of a link is attached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttachMode {
    /// Native if the driver can, else generic; the status says which and why.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// In the network stack, behind the driver: works everywhere, slower.
    Generic,
}

/// Outer source addresses of DSR encapsulation. Default: the source address of the route to the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TunnelSource {
    /// For IPv4 backends.
    #[serde(with = "address::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Ipv4Addr>")]
    pub ipv4: Option<Ipv4Addr>,
    /// For IPv6 backends.
    #[serde(with = "address::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Ipv6Addr>")]
    pub ipv6: Option<Ipv6Addr>,
}

/// Source addresses and ports towards the backends of NAT services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NatPool {
    /// The name that `natPool` of a service refers to.
    pub name: Name,
    /// Addresses, IPv4 and IPv6; a service uses those of its family.
    #[serde(with = "address::list")]
    #[schemars(with = "Vec<IpAddr>")]
    pub addresses: Vec<IpAddr>,
    /// Ports of each address.
    #[serde(default = "NatPool::default_ports")]
    pub ports: PortRange,
}

impl NatPool {
    /// The pool that a NAT service uses when it names none.
    pub const DEFAULT_NAME: &'static str = "default";

    fn default_ports() -> PortRange {
        PortRange::UNPRIVILEGED
    }
}

/// Sizes of the tables whose size is a choice. The tables are as large as the next power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Capacity {
    /// Flows that a change of backends lets the gateway remember.
    #[schemars(range(min = 1024, max = 4_194_304))]
    pub remembered_flows: u32,
    /// Fragmented datagrams followed at one time.
    #[schemars(range(min = 256, max = 1_048_576))]
    pub fragments: u32,
}

impl Capacity {
    /// Entries of the table of remembered flows: the next power of two.
    #[must_use]
    pub fn remembered_flow_entries(&self) -> u32 {
        self.remembered_flows.checked_next_power_of_two().unwrap_or(1 << 31)
    }

    /// Entries of the fragment table: the next power of two.
    #[must_use]
    pub fn fragment_entries(&self) -> u32 {
        self.fragments.checked_next_power_of_two().unwrap_or(1 << 31)
    }
}

impl Default for Capacity {
    fn default() -> Self {
        Self { remembered_flows: 65_536, fragments: 4096 }
    }
}

/// How many events the datapath reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Events {
    /// Drop events a second, on all CPUs together; 0 reports none. Counters count every drop in any case.
    pub drops_per_second: u32,
    /// Report one flow in so many; 0 reports none.
    pub sample_flows: u32,
}

impl Default for Events {
    fn default() -> Self {
        Self { drops_per_second: 1000, sample_flows: 64 }
    }
}
