//! Where everything runs, and why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::LinkName;
use sluice_model::status::StageStatus;
use sluice_profile::Profile;

/// What is programmed, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The revision it belongs to.
    pub revision: u64,
    /// By link.
    pub links: Vec<LinkPlan>,
    /// What the cards run, where there is something to be said of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cards: Vec<CardView>,
    /// What is required of cards and not possible.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
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
    pub stages: Vec<StageStatus>,
}

/// What a card shall run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CardView {
    /// The link.
    pub link: String,
    /// The program and its place; absent if nothing of ours is on the card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Its tables with their sizes.
    pub tables: Vec<String>,
    /// What is still to be written, in order.
    pub actions: Vec<String>,
}

/// What becomes of the wish to probe a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProbeAnswer {
    /// The link.
    pub link: LinkName,
    /// Whether a probe is under way.
    pub is_probing: bool,
    /// The same in words, with what happens in place of it.
    pub message: String,
}

/// A question: where would everything run if the cards were others?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Supposition {
    /// The link whose card would be another. Default: all links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkName>,
    /// What it could do: a capability profile, as `hwprobe LINK -o json` writes it.
    pub profile: Profile,
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
