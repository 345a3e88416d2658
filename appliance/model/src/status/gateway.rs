//! Status of the gateway: where each stage runs on each link.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::gateway::AttachMode;
use crate::placement::Placement;
use crate::values::LinkName;

/// `status` of a `Gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Statements about the whole gateway.
    pub conditions: Vec<Condition>,
    /// Its links, in the order of the spec.
    pub links: Vec<LinkStatus>,
}

/// What became of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// The interface's name.
    pub name: LinkName,
    /// The attach mode of the spec.
    pub requested: AttachMode,
    /// What was read back from the kernel.
    pub actual: ActualAttach,
    /// Why `actual` is not better, with the kernel's words. Absent when it is what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where each stage runs, in the order of the packet's way.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
}

/// How the XDP program of a link is attached, as read back from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActualAttach {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
    /// Not at all.
    #[default]
    None,
}

/// Where one stage runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage: `parse`, `prefilter`, `service`, `nat`.
    pub stage: String,
    /// Where it runs, as read back; absent when it runs nowhere. What a card leaves, the host takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Why there.
    pub reason: String,
    /// Where the plan puts it; differs from `placement` where the kernel or the card refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<Placement>,
    /// Where packets go on that a card leaves; absent when the stage is on no card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Placement>,
    /// How much of the stage's tables the card holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<TableShare>,
    /// Every placement that was not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_chosen: Vec<NotChosen>,
}

/// How much of a table a card holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableShare {
    /// What is in it: `IPv4 prefixes`, `services`.
    pub what: String,
    /// How many the card holds.
    pub held: u64,
    /// How many there are.
    pub of: u64,
    /// Why the others are not there, in groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// Entries that are not on the card for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOut {
    /// How many.
    pub entries: u64,
    /// Some of them, by name.
    pub examples: Vec<String>,
    /// Why, in a sentence.
    pub reason: String,
}

/// Why a stage does not run in a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NotChosen {
    /// The place.
    pub placement: Placement,
    /// Why not, in a sentence.
    pub reason: String,
    /// How that is known: what was asked, and what the kernel or the card answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<String>,
    /// What would have to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}
