//! What an editor prepares: objects as they shall be, each with what it was when the editor began with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sluice_model::merge::{FieldConflict, merge};
use sluice_model::objects::{Objects, Source};
use sluice_model::{Object, ObjectId, Problem};

use super::desired::check_owner;
use super::{Change, Desired, Refusal};
use crate::wire::{CandidateEdit, Conflict, EditAction};

/// The candidates of all editors.
pub type Candidates = BTreeMap<String, Candidate>;

/// What one editor prepares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The revision in force when it was begun.
    pub base: u64,
    /// When it was begun.
    pub since: Timestamp,
    /// When it was last edited.
    pub edited: Timestamp,
    /// The objects it touches. They are kept one by one.
    #[serde(skip)]
    pub edits: BTreeMap<ObjectId, Edit>,
}

/// An object in a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What was in force when the editor began with it; `None` if there was no such object.
    #[serde(with = "shared")]
    base: Option<Arc<Object>>,
    /// What shall be; `None` if it shall not be.
    #[serde(with = "shared")]
    object: Option<Arc<Object>>,
}

/// Objects that may be shared, as they are written.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use sluice_model::Object;

    pub(super) fn serialize<S: Serializer>(
        object: &Option<Arc<Object>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        object.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Arc<Object>>, D::Error> {
        Ok(Option::<Object>::deserialize(deserializer)?.map(Arc::new))
    }
}

impl Edit {
    fn action(&self) -> EditAction {
        match (&self.base, &self.object) {
            (_, None) => EditAction::Remove,
            (None, Some(_)) => EditAction::Add,
            (Some(_), Some(_)) => EditAction::Change,
        }
    }
}

impl Candidate {
    /// An empty one.
    pub fn new(base: u64) -> Self {
        let now = Timestamp::now();
        Self { base, since: now, edited: now, edits: BTreeMap::new() }
    }

    /// What would be, with no look at what others did.
    pub fn view(&self, desired: &Desired) -> Desired {
        let mut objects = (*desired.objects).clone();
        for (id, edit) in &self.edits {
            match &edit.object {
                Some(object) => {
                    objects.replace(object.clone(), Source::Api, None);
                }
                None => {
                    objects.remove(id);
                }
            }
        }
        Desired { objects: Arc::new(objects), revision: desired.revision }
    }

    /// Takes a change in; tells which objects it touched. Whether the whole is valid is asked later: on the way from one
    /// valid configuration to another there may be others.
    ///
    /// # Errors
    /// When the change may not be.
    pub fn edit(&mut self, desired: &Desired, change: Change) -> Result<Vec<ObjectId>, Refusal> {
        let before = self.view(desired);
        let mut change = change;
        let knowing = self.admit(desired, &mut change);
        let after = before.edited(change)?;
        let mut touched = knowing.clone();
        touched.extend(changed(&before.objects, &after));
        for id in &touched {
            let running = desired.objects.get(id).map(|entry| entry.object.clone());
            let edit = self.edits.remove(id).filter(|_| !knowing.contains(id));
            let base = edit.map_or_else(|| running.clone(), |edit| edit.base);
            let object = after.get(id).map(|entry| with_version_of(&entry.object, base.as_ref()));
            let is_undone = match (&object, &running) {
                (Some(object), Some(running)) => is_alike(object, running),
                (None, None) => true,
                _ => false,
            };
            if !is_undone {
                self.edits.insert(id.clone(), Edit { base, object });
            }
        }
        self.edited = Timestamp::now();
        Ok(touched.into_iter().collect())
    }

    /// Lets the editor change again what is in the candidate. Whoever says which version is in force now, or that it does
    /// not matter, has seen what others did to these objects, which are returned: their edits begin anew with that.
    fn admit(&self, desired: &Desired, change: &mut Change) -> BTreeSet<ObjectId> {
        let running =
            |id: &ObjectId| desired.objects.get(id).and_then(|entry| entry.resource_version());
        let mut knowing = BTreeSet::new();
        let mut see = |id: &ObjectId, given: &mut Option<String>| {
            let is_current = given.is_some() && given.as_deref() == running(id);
            if self.edits.contains_key(id) && is_current {
                *given = None;
                knowing.insert(id.clone());
            }
            is_current
        };
        match change {
            Change::Put { id, parsed, force } => {
                let given = &mut parsed.object.metadata_mut().resource_version;
                let is_current = see(id, given);
                if *force {
                    *given = None;
                    knowing.insert(id.clone());
                }
                // What this editor added has no version yet.
                *force |= self.edits.contains_key(id) && (is_current || running(id).is_none());
            }
            Change::Apply(all) => {
                for parsed in all {
                    let id = parsed.object.id();
                    see(&id, &mut parsed.object.metadata_mut().resource_version);
                }
            }
            Change::Delete { id, version } => {
                see(id, version);
            }
            Change::Replace { .. } => knowing.extend(self.edits.keys().cloned()),
            _ => {}
        }
        knowing.retain(|id| self.edits.contains_key(id));
        knowing
    }

    /// What would be in force after a commit, and where others are in the way.
    ///
    /// # Errors
    /// When an object belongs to a file by now.
    pub fn merged(&self, desired: &Desired) -> Result<(Objects, Vec<Conflict>), Refusal> {
        let mut objects = (*desired.objects).clone();
        let mut conflicts = Vec::new();
        for (id, edit) in &self.edits {
            let running = desired.objects.get(id);
            if let Some(entry) = running {
                check_owner(id, entry)?;
            }
            let running = running.map(|entry| &entry.object);
            let merged = if is_same(running, edit.base.as_ref()) {
                edit.object.clone()
            } else {
                let (merged, found) =
                    merged(edit.base.as_deref(), edit.object.as_deref(), running.map(|r| &**r))?;
                conflicts.extend(found.into_iter().map(|found| conflict(id, "running", found)));
                merged.map(Arc::new)
            };
            match merged {
                Some(object) => {
                    objects.replace(object, Source::Api, None);
                }
                None => {
                    objects.remove(id);
                }
            }
        }
        Ok((objects, conflicts))
    }

    /// Fields in which another candidate wants something else.
    pub fn conflicts_with(&self, editor: &str, other: &Self) -> Vec<Conflict> {
        let both =
            self.edits.iter().filter_map(|(id, edit)| Some((id, edit, other.edits.get(id)?)));
        both.flat_map(|(id, mine, theirs)| {
            let found =
                merged(mine.base.as_deref(), mine.object.as_deref(), theirs.object.as_deref());
            let found = found.map(|(_, found)| found).unwrap_or_default();
            found.into_iter().map(|found| conflict(id, editor, found)).collect::<Vec<_>>()
        })
        .collect()
    }

    /// Its edits as the API tells them.
    pub fn shown(&self, with_objects: bool) -> Vec<CandidateEdit> {
        let shown = |(id, edit): (&ObjectId, &Edit)| {
            let object = edit.object.as_ref().filter(|_| with_objects);
            CandidateEdit {
                object: id.clone(),
                action: edit.action(),
                to_be: object.and_then(|object| serde_json::to_value(&**object).ok()),
            }
        };
        self.edits.iter().map(shown).collect()
    }
}

/// The objects that differ in more than their version.
fn changed(before: &Objects, after: &Objects) -> Vec<ObjectId> {
    let differs = |id: &ObjectId, object: &Arc<Object>| {
        before.get(id).is_none_or(|old| !is_alike(&old.object, object))
    };
    let others = after.iter().filter(|(id, entry)| differs(id, &entry.object)).map(|(id, _)| id);
    let gone = before.iter().filter(|(id, _)| after.get(id).is_none()).map(|(id, _)| id);
    others.chain(gone).cloned().collect()
}

fn is_alike(one: &Arc<Object>, other: &Arc<Object>) -> bool {
    if Arc::ptr_eq(one, other) || one == other {
        return true;
    }
    let versions = [one, other].map(|object| object.metadata().resource_version.as_ref());
    versions[0] != versions[1] && *with_version_of(one, Some(other)) == **other
}

fn with_version_of(object: &Arc<Object>, other: Option<&Arc<Object>>) -> Arc<Object> {
    let version = other.and_then(|other| other.metadata().resource_version.clone());
    if object.metadata().resource_version == version {
        return object.clone();
    }
    let mut object = (**object).clone();
    object.metadata_mut().resource_version = version;
    Arc::new(object)
}

/// Whether nobody changed the object meanwhile.
fn is_same(running: Option<&Arc<Object>>, base: Option<&Arc<Object>>) -> bool {
    match (running, base) {
        (Some(running), Some(base)) => is_alike(running, base),
        (None, None) => true,
        _ => false,
    }
}

/// What both make of an object, and where they contradict each other. One that is removed by one and changed by the other
/// contradicts as a whole.
fn merged(
    base: Option<&Object>,
    mine: Option<&Object>,
    theirs: Option<&Object>,
) -> Result<(Option<Object>, Vec<FieldConflict>), Refusal> {
    let unwritable = |error: serde_json::Error| {
        Refusal::Invalid(vec![Problem::new(format!("the merged object: {error}"))])
    };
    let value = |object: Option<&Object>| -> Result<Option<Value>, Refusal> {
        let Some(object) = object else { return Ok(None) };
        let mut value = serde_json::to_value(object).map_err(unwritable)?;
        if let Some(metadata) = value["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        Ok(Some(value))
    };
    let (base, ours, others) = (value(base)?, value(mine)?, value(theirs)?);
    let whole = |conflict: bool| {
        let found = FieldConflict {
            field: String::new(),
            base: base.clone(),
            mine: ours.clone(),
            theirs: others.clone(),
        };
        if conflict { vec![found] } else { Vec::new() }
    };
    match (&ours, &others) {
        (None, None) => Ok((None, Vec::new())),
        (None, theirs) => Ok((None, whole(*theirs != base))),
        (mine, None) => {
            let is_conflict = base.is_some() && *mine != base;
            let stays = is_conflict || base.is_none();
            Ok((kept_if(stays, mine.as_ref()).map_err(unwritable)?, whole(is_conflict)))
        }
        (Some(mine), Some(theirs)) => {
            let empty = json!({});
            let (value, conflicts) = merge(base.as_ref().unwrap_or(&empty), mine, theirs);
            Ok((Some(serde_json::from_value(value).map_err(unwritable)?), conflicts))
        }
    }
}

fn kept_if(stays: bool, mine: Option<&Value>) -> Result<Option<Object>, serde_json::Error> {
    mine.filter(|_| stays).map(|mine| serde_json::from_value(mine.clone())).transpose()
}

fn conflict(object: &ObjectId, with: &str, found: FieldConflict) -> Conflict {
    let FieldConflict { field, base, mine, theirs } = found;
    Conflict { object: object.clone(), field, with: with.to_owned(), base, mine, theirs }
}
