//! Statements about objects, with the time since when they are true.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use sluice_model::status::Condition;
use sluice_model::{Name, ObjectId};

/// The conditions of all objects and of the whole.
#[derive(Debug, Default)]
pub(super) struct Conditions {
    objects: HashMap<ObjectId, Vec<Condition>>,
    whole: Vec<Condition>,
    /// Services of whose backends something else may be true now.
    doubtful: HashSet<Name>,
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

    /// Something is known of a service's backends that was not.
    pub(super) fn doubt(&mut self, service: &Name) {
        self.doubtful.insert(service.clone());
    }

    /// The services that something else may be true of now.
    pub(super) fn take_doubtful(&mut self) -> HashSet<Name> {
        std::mem::take(&mut self.doubtful)
    }

    /// Forgets an object that is not any more.
    pub(super) fn forget(&mut self, id: &ObjectId) {
        self.objects.remove(id);
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
