//! Conditions: what is true of an object, since when and why.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One statement about an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is stated, in one word: `Applied`, `BackendsUp`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it holds.
    pub status: ConditionStatus,
    /// Why, in one word for programs: `MapFull`.
    pub reason: String,
    /// Why, in a sentence for people.
    pub message: String,
    /// When the status last changed.
    pub since: Timestamp,
}

impl Condition {
    /// Puts this condition into a list in place of the one of the same type. `since` stays as it was while the
    /// status stays as it was.
    pub fn set_in(mut self, conditions: &mut Vec<Self>) {
        match conditions.iter_mut().find(|other| other.kind == self.kind) {
            Some(other) => {
                if other.status == self.status {
                    self.since = other.since;
                }
                *other = self;
            }
            None => conditions.push(self),
        }
    }
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows yet.
    Unknown,
}

impl From<bool> for ConditionStatus {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}
