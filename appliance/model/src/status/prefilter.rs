//! Status of a prefilter: how much it holds, what it hits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::values::Prefix;

/// `status` of a `Prefilter`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrefilterStatus {
    /// Statements about the prefilter.
    pub conditions: Vec<Condition>,
    /// Prefixes in force.
    pub prefixes: PrefixCount,
    /// Packets by action.
    pub hits: PrefixHits,
    /// The prefixes that hit most, most first.
    pub top_prefixes: Vec<TopPrefix>,
}

/// Prefixes by family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrefixCount {
    /// IPv4 prefixes.
    pub ipv4: u64,
    /// IPv6 prefixes.
    pub ipv6: u64,
}

/// Packets by action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PrefixHits {
    /// Packets dropped.
    pub deny: u64,
    /// Packets let through by a match.
    pub allow: u64,
}

/// What a prefix does with a packet.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum PrefilterAction {
    /// Drop it.
    Deny,
    /// Let it through.
    Allow,
}

/// A prefix and its hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopPrefix {
    /// The prefix.
    pub prefix: Prefix,
    /// What it does.
    pub action: PrefilterAction,
    /// Packets it matched.
    pub hits: u64,
}
