//! Where everything runs, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::LinkName;
use sluice_model::status::Placement;

/// What is programmed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The revision it belongs to.
    pub revision: u64,
    /// By link.
    pub links: Vec<LinkPlan>,
    /// Sizes of the tables.
    pub tables: Vec<TableSize>,
    /// What is to be done to get there, in order; empty when everything is done.
    pub actions: Vec<String>,
}

/// Where the stages run on one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkPlan {
    /// The link.
    pub link: LinkName,
    /// What the program is specialised to.
    pub features: Vec<String>,
    /// In the order of the packet's way.
    pub stages: Vec<PlannedStage>,
}

/// Where one stage runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStage {
    /// The stage.
    pub stage: String,
    /// Where it runs; absent when it is not needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Why there.
    pub reason: String,
}

/// Size of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableSize {
    /// Its name.
    pub table: String,
    /// Entries (bytes for the ring of events).
    pub entries: u32,
}
