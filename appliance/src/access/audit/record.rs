//! One line of the log.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::access::secret::sha256;

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done; or begun, where no status tells what became of it.
    Allowed,
    /// Whoever asked may not do it.
    Refused,
    /// Whoever asked may do it, but it was not possible.
    Failed,
}

/// What is recorded.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// The user, or the name of the token; who was not known is `-`.
    pub who: String,
    /// How they were known: `socket`, `session`, `token`, `certificate`; `-` if not at all.
    pub kind: String,
    /// The address, or `local`.
    pub from: String,
    /// Method and path, such as `PUT /v1/services/web`.
    pub action: String,
    /// What became of it.
    pub outcome: Outcome,
    /// The HTTP status of the answer; 0 where it was begun, and the daemon ended before it could be answered.
    pub status: u16,
    /// Why it was refused or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was there before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What is there now; of configuration objects, the differences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
    /// Refused requests of unknown callers before this one that were counted and not recorded, because there were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unrecorded: u64,
    /// The number of the record that said that this would be done; for the log itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub begun: Option<u64>,
}

impl Entry {
    /// Whether it says only that something would be done.
    pub(super) fn is_beginning(&self) -> bool {
        self.status == 0 && self.begun.is_none()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The number of the record, from 1.
    pub number: u64,
    /// When.
    pub time: Timestamp,
    /// The hash of the record before.
    pub previous: String,
    /// What is recorded.
    #[serde(flatten)]
    pub entry: Entry,
}

/// The hash that the first record names.
pub(super) const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// A record as a line without its end: the hash (SHA-256) of the JSON text, a blank, and the JSON text.
pub(super) fn line(record: &Record) -> Result<(String, String), serde_json::Error> {
    let text = serde_json::to_string(record)?;
    let hash = hash(&text);
    Ok((format!("{hash} {text}"), hash))
}

/// Reads a line; `None` if its hash is not that of its text, or the text no record.
pub(super) fn parse(line: &str) -> Option<(Record, &str)> {
    let (stated, text) = line.split_once(' ')?;
    (hash(text) == stated).then_some(())?;
    Some((serde_json::from_str(text).ok()?, stated))
}

fn hash(text: &str) -> String {
    sha256(text.as_bytes())
}
