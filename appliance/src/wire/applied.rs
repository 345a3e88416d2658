//! What a change did.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Diff;

use super::{PendingCommit, Plan, Warning};

/// The answer to an accepted change.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Applied {
    /// The revision that is in force now; with `dryRun`, the one that would be.
    pub revision: u64,
    /// Whether nothing was done on purpose.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether it was put into the caller's candidate, and nothing took effect.
    #[serde(default)]
    pub candidate: bool,
    /// What changed.
    pub diff: Diff,
    /// What it does, or would do, that is hardly wanted.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// Set if it is undone unless it is confirmed in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingCommit>,
    /// With `dryRun`: where everything would run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
}
