//! Candidates: what editors prepare before it is committed.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sluice_model::{Diff, ObjectId};

use super::ProblemItem;

/// What one editor has prepared.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Whose it is.
    pub editor: String,
    /// The revision that was in force when it was begun; the one in force now if there is nothing in it.
    pub base: u64,
    /// When it was begun; absent if there is nothing in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// When it was last edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<Timestamp>,
    /// The objects it touches, in the order of kind and name.
    pub edits: Vec<CandidateEdit>,
    /// Fields that somebody else changed to something else.
    pub conflicts: Vec<Conflict>,
}

/// An object that a candidate touches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateEdit {
    /// Which.
    pub object: ObjectId,
    /// What is done to it.
    pub action: EditAction,
    /// The object as it will be: `apiVersion`, `kind`, `metadata`, `spec`. Absent if it is removed, and in lists of all
    /// editors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_be: Option<Value>,
}

/// What a candidate does to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum EditAction {
    /// It is made.
    Add,
    /// It is changed.
    Change,
    /// It is removed.
    Remove,
}

/// A field that two want to be different.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The object.
    pub object: ObjectId,
    /// The field, such as `spec.backends[2].weight`; empty if it is the object as a whole.
    pub field: String,
    /// Who else: the name of an editor, or `running` for what is in force.
    pub with: String,
    /// The value that both began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<Value>,
    /// The value in this candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mine: Option<Value>,
    /// The other value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theirs: Option<Value>,
}

/// All candidates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateList {
    /// The revision in force.
    pub revision: u64,
    /// In the order of the editors' names.
    pub items: Vec<Candidate>,
}

/// What a commit of a candidate would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CandidateDiff {
    /// The revision in force.
    pub revision: u64,
    /// From what is in force to what would be.
    pub diff: Diff,
    /// Why it cannot be committed as it is: fields that somebody else changed to something else.
    pub conflicts: Vec<Conflict>,
    /// What a commit would do that is hardly wanted.
    pub warnings: Vec<Warning>,
}

/// Whether a candidate could be committed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Whether nothing speaks against it but warnings.
    pub valid: bool,
    /// What is wrong with the objects.
    pub problems: Vec<ProblemItem>,
    /// Fields that somebody else changed to something else.
    pub conflicts: Vec<Conflict>,
    /// What a commit would do that is hardly wanted.
    pub warnings: Vec<Warning>,
}

/// Something that is allowed, and hardly wanted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Warning {
    /// What kind of thing.
    pub kind: WarningKind,
    /// The object that does it: `Prefilter/block`.
    pub object: String,
    /// Its field: `spec.deny[3]`.
    pub field: String,
    /// What it does, and the way out.
    pub message: String,
}

/// What a warning is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WarningKind {
    /// The session that asks for the change would be cut off by it.
    CutsOff,
}

/// How a candidate is to be committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct CommitRequest {
    /// What it is for, for the history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Return to the revision before unless it is confirmed within so many seconds, over a new connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 86_400))]
    pub confirm_seconds: Option<u32>,
    /// Do it in spite of warnings. Without, a commit that has any is refused and tells them.
    pub accept_warnings: bool,
}
