//! Statements about objects, with the time since when they are true.

use std::collections::HashMap;

use jiff::Timestamp;
use sluice_model::ObjectId;
use sluice_model::status::Condition;

/// The conditions of all objects and of the whole.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    objects: HashMap<ObjectId, Vec<Condition>>,
    whole: Vec<Condition>,
}

impl Conditions {
    /// States something about an object.
    pub(super) fn set(
        &mut self,
        id: &ObjectId,
        kind: &str,
        holds: bool,
        reason: &str,
        message: impl Into<String>,
    ) {
        let conditions = self.objects.entry(id.clone()).or_default();
        condition(kind, holds, reason, message.into()).set_in(conditions);
    }

    /// States something about the whole.
    pub(super) fn set_whole(
        &mut self,
        kind: &str,
        holds: bool,
        reason: &str,
        message: impl Into<String>,
    ) {
        condition(kind, holds, reason, message.into()).set_in(&mut self.whole);
    }

    /// What is stated about the whole.
    pub(super) fn of_all(&self) -> Vec<Condition> {
        self.whole.clone()
    }

    /// What is stated about an object.
    pub(super) fn of(&self, id: &ObjectId) -> Vec<Condition> {
        self.objects.get(id).cloned().unwrap_or_default()
    }

    /// Forgets objects that are not any more.
    pub(super) fn retain(&mut self, exists: impl Fn(&ObjectId) -> bool) {
        self.objects.retain(|id, _| exists(id));
    }
}

fn condition(kind: &str, holds: bool, reason: &str, message: String) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status: holds.into(),
        reason: reason.to_owned(),
        message,
        since: Timestamp::now(),
    }
}
