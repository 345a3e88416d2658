//! The history of the configuration, and the commit that waits to be confirmed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Diff;

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Revision {
    /// Its number.
    pub revision: u64,
    /// When it was made.
    pub time: Timestamp,
    /// Who made it: a user, `root`, `directory` for files of the configuration directory, `sluiced` for the daemon.
    pub author: String,
    /// From where: an address, or `local`.
    pub source: String,
    /// What made it.
    pub origin: RevisionOrigin,
    /// What it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Objects that were made.
    pub added: u64,
    /// Objects that were changed.
    pub changed: u64,
    /// Objects that were removed.
    pub removed: u64,
    /// The revision whose objects it has again, after a rollback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<u64>,
    /// Whether it waits, or waited, for a confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmation: Option<ConfirmationState>,
}

/// What made a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionOrigin {
    /// A change of single objects that took effect at once.
    Api,
    /// A candidate.
    Candidate,
    /// Files of the configuration directory.
    Directory,
    /// A rollback that somebody asked for.
    Rollback,
    /// A commit before it that was not confirmed.
    NotConfirmed,
    /// An import.
    Import,
    /// A backup.
    Restore,
    /// The state of an older version of Sluice.
    Migration,
}

impl RevisionOrigin {
    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Candidate => "candidate",
            Self::Directory => "directory",
            Self::Rollback => "rollback",
            Self::NotConfirmed => "not-confirmed",
            Self::Import => "import",
            Self::Restore => "restore",
            Self::Migration => "migration",
        }
    }
}

/// What became of a commit that was to be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmationState {
    /// It waits.
    Pending,
    /// It was confirmed.
    Confirmed,
    /// It was not, and the revision before returned.
    Returned,
}

/// The history, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionList {
    /// The revision in force.
    pub revision: u64,
    /// Newest first.
    pub items: Vec<Revision>,
    /// What to send as `before` to see older ones; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
}

/// A commit with what it changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RevisionDetail {
    /// The commit.
    #[serde(flatten)]
    pub revision: Revision,
    /// What it changed.
    pub diff: Diff,
}

/// Whether a commit waits to be confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// The commit that waits; absent if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<PendingCommit>,
}

/// A commit that is undone unless it is confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PendingCommit {
    /// The revision that waits.
    pub revision: u64,
    /// Whose objects return.
    pub returns_to: u64,
    /// Who committed.
    pub author: String,
    /// When it returns, by the machine's clock.
    pub until: Timestamp,
    /// Until then.
    pub seconds_left: u64,
    /// The time it was given.
    pub seconds: u32,
}
