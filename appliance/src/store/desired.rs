//! The desired objects with their revision, and what a change would make of them.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;
use sluice_model::diff::Diff;
use sluice_model::objects::{Entry, Objects, Source};
use sluice_model::{Object, ObjectId, Parsed, Problem, parse, validate_change};

use super::{Change, Refusal, SourcedObject};

/// What shall be.
#[derive(Clone, Debug, Default)]
pub struct Desired {
    /// The objects. Each carries the revision of its last change as `resourceVersion`.
    pub objects: Arc<Objects>,
    /// Counts the changes.
    pub revision: u64,
}

/// What would be. Valid in itself; whether the gateway can do it is for the plan to say.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The objects and the revision as they would be. The revision is the old one if nothing changes.
    pub desired: Desired,
    /// What changes.
    pub diff: Diff,
}

impl Desired {
    /// What a change would make of the desired objects.
    ///
    /// # Errors
    /// When the change may not be, or its result would not be valid.
    pub fn propose(&self, change: Change) -> Result<Proposal, Refusal> {
        self.becoming(self.edited(change)?)
    }

    /// What these objects would be as the next revision.
    ///
    /// # Errors
    /// When they are not valid.
    pub fn becoming(&self, objects: Objects) -> Result<Proposal, Refusal> {
        validate_change(&self.objects, &objects).map_err(Refusal::Invalid)?;
        Ok(self.numbered(objects))
    }

    /// The objects after a change. Whether they are valid together is not asked.
    ///
    /// # Errors
    /// When the change may not be.
    pub fn edited(&self, change: Change) -> Result<Objects, Refusal> {
        let mut objects = (*self.objects).clone();
        match change {
            Change::Apply(all) => self.apply(&mut objects, all)?,
            Change::Put { id, parsed, force } => {
                same_object(&id, &parsed.object)?;
                let exists = self.objects.get(&id);
                if let (Some(entry), None, false) =
                    (exists, &parsed.object.metadata().resource_version, force)
                {
                    return Err(Refusal::NoVersion { id, found: version(entry) });
                }
                self.write(&mut objects, *parsed)?;
            }
            Change::Patch { id, patch } => {
                let parsed = self.patched(&id, &patch)?;
                self.write(&mut objects, parsed)?;
            }
            Change::Delete { id, version } => {
                let entry = self.objects.get(&id).ok_or_else(|| Refusal::NotFound(id.clone()))?;
                check_owner(&id, entry)?;
                check_version(&id, entry, version.as_deref())?;
                objects.remove(&id);
            }
            Change::Directory(files) => {
                objects = self.with_files(files).map_err(Refusal::Invalid)?;
            }
            Change::Replace { objects: all, .. } => objects = self.replaced(all)?,
            Change::Restore(contents) => objects = self.restored(contents.objects),
            // Whose objects they are, only the history and the candidates know.
            Change::Candidate | Change::Rollback { .. } | Change::Return => {}
        }
        Ok(objects)
    }

    fn apply(&self, objects: &mut Objects, all: Vec<Parsed>) -> Result<(), Refusal> {
        // An object that one request declares twice is a slip; the model names both places.
        Objects::from_parsed(all.iter().cloned().map(|parsed| (parsed, Source::Api)))
            .map_err(Refusal::Invalid)?;
        all.into_iter().try_for_each(|parsed| self.write(objects, parsed))
    }

    /// Puts an object of the API in its place.
    fn write(&self, objects: &mut Objects, parsed: Parsed) -> Result<(), Refusal> {
        let id = parsed.object.id();
        let given = parsed.object.metadata().resource_version.as_deref();
        match (self.objects.get(&id), given) {
            (Some(entry), given) => {
                check_owner(&id, entry)?;
                check_version(&id, entry, given)?;
            }
            (None, Some(given)) => return Err(Refusal::Gone { id, given: given.to_owned() }),
            (None, None) => {}
        }
        objects.replace(parsed.object, Source::Api, Some(parsed.location));
        Ok(())
    }

    fn patched(&self, id: &ObjectId, patch: &Value) -> Result<Parsed, Refusal> {
        let entry = self.objects.get(id).ok_or_else(|| Refusal::NotFound(id.clone()))?;
        check_owner(id, entry)?;
        let unwritable =
            |error| Refusal::Invalid(vec![Problem::new(format!("the patched {id}: {error}"))]);
        let mut object = serde_json::to_value(&*entry.object).map_err(unwritable)?;
        merge(&mut object, patch);
        // What is wrong is told by its field; a line of the merged text would tell the user nothing.
        let text = serde_json::to_string(&object).map_err(unwritable)?;
        let parsed =
            parse("patch", &text).map_err(|problems| Refusal::Invalid(without_place(problems)))?;
        let [parsed] =
            <[Parsed; 1]>::try_from(parsed).map_err(|_| Refusal::NotFound(id.clone()))?;
        same_object(id, &parsed.object)?;
        Ok(parsed)
    }

    /// These objects, and no others but those of files, of which they may only say the same.
    fn replaced(&self, all: Vec<Parsed>) -> Result<Objects, Refusal> {
        let given = Objects::from_parsed(
            all.into_iter().map(|parsed| (without_version(parsed), Source::Api)),
        )
        .map_err(Refusal::Invalid)?;
        let mut objects = self.of_files();
        for (id, entry) in given.iter() {
            if let Some(file) = objects.get(id) {
                let mut said = (*entry.object).clone();
                said.metadata_mut().resource_version =
                    file.object.metadata().resource_version.clone();
                if said != *file.object {
                    check_owner(id, file)?;
                }
                continue;
            }
            objects.replace(entry.object.clone(), Source::Api, entry.location.clone());
        }
        Ok(objects)
    }

    /// These objects, and no others but those of files, which stay as the files say.
    fn restored(&self, all: Vec<SourcedObject>) -> Objects {
        let mut objects = self.of_files();
        for SourcedObject { object, .. } in all {
            if objects.get(&object.id()).is_none() {
                objects.replace(object, Source::Api, None);
            }
        }
        objects
    }

    fn of_files(&self) -> Objects {
        let mut objects = Objects::new();
        for (_, entry) in self.objects.iter().filter(|(_, entry)| entry.source != Source::Api) {
            objects.replace(entry.object.clone(), entry.source.clone(), entry.location.clone());
        }
        objects
    }

    /// The objects of the API together with these of files.
    fn with_files(&self, files: Vec<(Parsed, Source)>) -> Result<Objects, Vec<Problem>> {
        let mut objects = Objects::new();
        for (_, entry) in self.objects.iter().filter(|(_, entry)| entry.source == Source::Api) {
            objects.replace(entry.object.clone(), Source::Api, entry.location.clone());
        }
        let insert =
            |(parsed, source)| objects.insert(parsed, source).err().map(|problem| *problem);
        let problems: Vec<_> = files.into_iter().filter_map(insert).collect();
        if problems.is_empty() { Ok(objects) } else { Err(problems) }
    }

    /// Gives what changed the next revision, and what did not its old version.
    fn numbered(&self, mut objects: Objects) -> Proposal {
        let diff = self.objects.diff(&objects);
        let revision = self.revision + u64::from(!diff.is_empty());
        let next = revision.to_string();
        let changed: HashSet<_> =
            diff.added.iter().chain(diff.changed.iter().map(|change| &change.object)).collect();
        let stamp: Vec<_> = self
            .objects
            .beside(&objects)
            .filter_map(|(id, before, entry)| {
                let entry = entry?;
                if before.is_some_and(|before| Arc::ptr_eq(&before.object, &entry.object)) {
                    return None;
                }
                let version = if changed.contains(id) { next.clone() } else { version(before?) };
                (entry.resource_version() != Some(&version)).then(|| (entry.clone(), version))
            })
            .collect();
        for (entry, version) in stamp {
            let mut object = (*entry.object).clone();
            object.metadata_mut().resource_version = Some(version);
            objects.replace(object, entry.source, entry.location);
        }
        Proposal { desired: Self { objects: Arc::new(objects), revision }, diff }
    }
}

impl Proposal {
    /// Whether anything changes.
    pub fn is_empty(&self) -> bool {
        self.diff.is_empty()
    }
}

fn version(entry: &Entry) -> String {
    entry.resource_version().unwrap_or_default().to_owned()
}

pub(super) fn check_owner(id: &ObjectId, entry: &Entry) -> Result<(), Refusal> {
    match &entry.source {
        Source::Api => Ok(()),
        Source::File { path } => {
            Err(Refusal::owned_by_file(id.clone(), path, entry.location.as_ref()))
        }
    }
}

fn check_version(id: &ObjectId, entry: &Entry, given: Option<&str>) -> Result<(), Refusal> {
    match given {
        Some(given) if entry.resource_version() != Some(given) => {
            Err(Refusal::Stale { id: id.clone(), found: version(entry), given: given.to_owned() })
        }
        _ => Ok(()),
    }
}

fn same_object(expected: &ObjectId, object: &Object) -> Result<(), Refusal> {
    let found = object.id();
    if found == *expected {
        return Ok(());
    }
    Err(Refusal::OtherObject { expected: expected.clone(), found: found.to_string() })
}

fn without_version(mut parsed: Parsed) -> Parsed {
    parsed.object.metadata_mut().resource_version = None;
    parsed
}

fn without_place(mut problems: Vec<Problem>) -> Vec<Problem> {
    for problem in &mut problems {
        problem.file = None;
        problem.position = None;
    }
    problems
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    let Value::Object(fields) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            fields.remove(name);
        } else {
            merge(fields.entry(name.clone()).or_insert(Value::Null), value);
        }
    }
}
