//! Revisions, and the configuration as a whole.

use sluice_model::objects::Objects;
use tracing::debug;

use super::{ChangeError, Engine};
use crate::store::{Contents, Refusal};
use crate::wire::{RevisionDetail, RevisionList};

impl Engine {
    /// The history before a revision, newest first.
    ///
    /// # Errors
    /// When the state directory cannot be read.
    pub fn revisions(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<RevisionList, ChangeError> {
        let before = before.unwrap_or(u64::MAX);
        let mut items = self.store.revisions(before, limit + 1)?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| has_more).map(|last| last.revision);
        Ok(RevisionList { revision: self.desired.revision, items, next })
    }

    /// A revision with what it changed.
    ///
    /// # Errors
    /// When it is not kept.
    pub fn revision_detail(&self, revision: u64) -> Result<RevisionDetail, ChangeError> {
        let newest = self.desired.revision;
        let oldest = self.store.oldest()?.unwrap_or(newest);
        let gone = Refusal::NoRevision { revision, oldest, newest };
        Ok(self.store.revision(revision)?.ok_or(gone)?)
    }

    /// The objects of an earlier revision.
    pub(super) fn objects_of(&self, revision: u64) -> Result<Objects, ChangeError> {
        let objects = self.store.objects_of(&self.desired, revision)?;
        debug!(revision, "objects of an earlier revision read");
        Ok(objects?)
    }

    /// All objects as YAML: of what is in force, or of an editor's candidate.
    ///
    /// # Errors
    /// When an object cannot be written.
    pub fn export(&self, editor: Option<&str>) -> Result<String, ChangeError> {
        let candidate = editor.and_then(|editor| self.candidates.get(editor));
        let view = candidate.map(|candidate| candidate.view(&self.desired));
        let objects = &view.as_ref().unwrap_or(&self.desired).objects;
        let written = objects.iter().map(|(id, entry)| {
            let mut object = (*entry.object).clone();
            object.metadata_mut().resource_version = None;
            serde_saphyr::to_string(&object).map_err(|error| {
                let problem = sluice_model::Problem::new(format!("{id} as YAML: {error}"));
                ChangeError::Refused(Refusal::Invalid(vec![problem]))
            })
        });
        Ok(written.collect::<Result<Vec<_>, _>>()?.join("---\n"))
    }

    /// What a backup holds, with these users, tokens and keys.
    pub fn backup_contents(&self, secrets: serde_json::Value) -> Contents {
        Contents::new(self.desired.revision, &self.desired.objects, secrets)
    }
}
