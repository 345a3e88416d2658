//! The state of the whole.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::status::{Condition, GatewayStatus};

use super::{PlacementTraffic, ProblemItem, ReasonCount, Traffic};

/// The state of the whole.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// The revision of the configuration in force.
    pub revision: u64,
    /// When the daemon started.
    pub started: Timestamp,
    /// Whether the configuration in force is programmed.
    pub ready: bool,
    /// Statements about the whole.
    pub conditions: Vec<Condition>,
    /// The configuration directory.
    pub directory: DirectoryStatus,
    /// The gateway: links and where each stage runs on them. Absent while there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<GatewayStatus>,
    /// How much there is.
    pub totals: Totals,
    /// What became of all packets so far.
    pub traffic: Traffic,
    /// The same by place, where a card takes part.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placements: Vec<PlacementTraffic>,
    /// The dropped ones by reason, the most frequent first.
    #[serde(default)]
    pub drops: Vec<ReasonCount>,
}

/// The configuration directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DirectoryStatus {
    /// Where it is.
    pub path: String,
    /// What is wrong with it now. While something is, the last good set holds.
    #[serde(default)]
    pub problems: Vec<ProblemItem>,
}

/// How much there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Services.
    pub services: u64,
    /// Backends of all services.
    pub backends: u64,
    /// Those that serve.
    pub backends_up: u64,
    /// Those that do not answer.
    pub backends_down: u64,
    /// Those whose first probe is not finished.
    pub backends_unknown: u64,
    /// Those that keep their flows and receive no new ones.
    pub backends_draining: u64,
    /// Those that are switched off.
    pub backends_disabled: u64,
    /// Prefixes of all prefilters.
    pub prefixes: u64,
    /// Slots in which flows older than the last change stay where they were.
    pub moving_slots: u64,
}

/// Whether the daemon does what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Readiness {
    /// Whether the configuration in force is programmed.
    pub ready: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Of the program.
    pub version: String,
    /// Of the tables that it shares with the datapath.
    pub abi: u32,
    /// Of the configuration objects.
    pub api_version: String,
}
