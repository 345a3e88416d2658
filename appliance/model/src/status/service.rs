//! Status of a service: its backends, its slots, its drops.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::values::{LinkName, Port, Weight};

/// `status` of a `Service`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceStatus {
    /// Statements about the whole service.
    pub conditions: Vec<Condition>,
    /// Its backends, in the order of the spec; then removed ones that still have flows.
    pub backends: Vec<BackendStatus>,
    /// Slots of the Maglev table.
    pub slots: u32,
    /// Slots in which flows older than the last change stay where they were.
    pub moving_slots: u32,
    /// Dropped packets by reason, since the service exists.
    pub drops: BTreeMap<String, u64>,
}

/// What is known of one backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendStatus {
    /// Its address.
    pub address: IpAddr,
    /// The port packets arrive at; absent when they keep the port the client chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Its weight in the spec.
    pub weight: Weight,
    /// Whether it serves.
    pub state: HealthState,
    /// When the state last changed.
    pub since: Timestamp,
    /// Why the last failed probe failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// The fraction of slots it has, 0 to 1.
    pub share: f64,
    /// Packets sent to it.
    pub packets: u64,
    /// Bytes of those packets, as they arrived.
    pub bytes: u64,
    /// Where packets to it leave.
    pub next_hop: NextHop,
}

/// Whether a backend serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HealthState {
    /// No probe has finished yet.
    #[default]
    Unknown,
    /// It answers, or is not probed.
    Up,
    /// It does not answer.
    Down,
    /// It keeps its flows and receives no new ones.
    Draining,
    /// Switched off by the operator.
    Disabled,
}

impl HealthState {
    /// The word in the API, on the command line and in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

impl std::fmt::Display for HealthState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where packets to a backend leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", untagged)]
pub enum NextHop {
    /// On this link, to this neighbour.
    Resolved {
        /// The interface's name.
        link: LinkName,
        /// The neighbour's MAC address: `02:00:00:00:00:01`.
        mac: String,
    },
    /// Nowhere yet.
    Unresolved {
        /// Why: no route, no answer to ARP.
        unresolved: String,
    },
}
