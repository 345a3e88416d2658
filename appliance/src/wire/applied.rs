//! What a change did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Diff;

use super::Plan;

/// The answer to an accepted change.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The revision that is in force now; with `dryRun`, the one that would be.
    pub revision: u64,
    /// Whether nothing was done on purpose.
    #[serde(default)]
    pub dry_run: bool,
    /// What changed.
    pub diff: Diff,
    /// With `dryRun`: where everything would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}
