//! Revisions, and the objects that they had.

use std::collections::HashMap;

use redb::{ReadableTable, ReadableTableMetadata};
use sluice_model::ObjectId;
use sluice_model::objects::Objects;

use super::database::{BEFORE, DIFFS, OBJECTS, REVISIONS};
use super::record::Record;
use super::{Desired, Refusal, Store, StoreError};
use crate::wire::{Revision, RevisionDetail};

impl Store {
    /// Revisions before one, newest first.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn revisions(&self, before: u64, limit: usize) -> Result<Vec<Revision>, StoreError> {
        let transaction = self.read()?;
        let table = self.table(&transaction, REVISIONS)?;
        let rows = table.range(..before).map_err(|error| self.error("read the history", error))?;
        let read = |row: Result<(_, redb::AccessGuard<'_, &[u8]>), redb::StorageError>| {
            let (_, bytes) = row.map_err(|error| self.error("read the history", error))?;
            self.json(bytes.value())
        };
        rows.rev().take(limit).map(read).collect()
    }

    /// A revision with what it changed; `None` if it is not kept.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn revision(&self, number: u64) -> Result<Option<RevisionDetail>, StoreError> {
        let transaction = self.read()?;
        let revisions = self.table(&transaction, REVISIONS)?;
        let diffs = self.table(&transaction, DIFFS)?;
        let (Some(revision), Some(diff)) = (
            revisions.get(number).map_err(|error| self.error("read the history", error))?,
            diffs.get(number).map_err(|error| self.error("read the history", error))?,
        ) else {
            return Ok(None);
        };
        let (revision, diff) = (self.json(revision.value())?, self.json(diff.value())?);
        Ok(Some(RevisionDetail { revision, diff }))
    }

    /// How many revisions are kept.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn revision_count(&self) -> Result<u64, StoreError> {
        let transaction = self.read()?;
        let table = self.table(&transaction, REVISIONS)?;
        table.len().map_err(|error| self.error("read the history", error))
    }

    /// The oldest revision whose objects are known.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn oldest(&self) -> Result<Option<u64>, StoreError> {
        let transaction = self.read()?;
        let table = self.table(&transaction, REVISIONS)?;
        let first = table.first().map_err(|error| self.error("read the history", error))?;
        Ok(first.map(|(number, _)| number.value()))
    }

    /// The objects that a revision had, with their versions of that time.
    ///
    /// # Errors
    /// When they are not kept, or cannot be read.
    pub fn objects_of(
        &self,
        desired: &Desired,
        revision: u64,
    ) -> Result<Result<Objects, Refusal>, StoreError> {
        let newest = desired.revision;
        let oldest = self.oldest()?.unwrap_or(newest);
        // Before the first there was nothing, and that is known too.
        let is_known = (oldest..=newest).contains(&revision) || (revision == 0 && oldest == 1);
        if !is_known {
            return Ok(Err(Refusal::NoRevision { revision, oldest, newest }));
        }
        let mut objects = (*desired.objects).clone();
        for (id, record) in self.ways_back(revision)? {
            match record {
                None => {
                    objects.remove(&id);
                }
                Some(record) => {
                    let entry = record.entry().map_err(|error| self.broken(&error))?;
                    objects.replace(entry.object, entry.source, None);
                }
            }
        }
        Ok(Ok(objects))
    }

    /// What every object was in a revision that has changed since.
    fn ways_back(&self, revision: u64) -> Result<HashMap<ObjectId, Option<Record>>, StoreError> {
        let transaction = self.read()?;
        let objects = self.table(&transaction, OBJECTS)?;
        let table = self.table(&transaction, BEFORE)?;
        let mut records: HashMap<String, Option<Record>> = HashMap::new();
        let rows = table
            .range((revision + 1, "")..)
            .map_err(|error| self.error("read the history", error))?;
        for row in rows.rev() {
            let (key, undo) = row.map_err(|error| self.error("read the history", error))?;
            let (_, id) = key.value();
            let after = match records.remove(id) {
                Some(record) => record,
                None => objects
                    .get(id)
                    .map_err(|error| self.error("read the history", error))?
                    .map(|bytes| Record::from_bytes(bytes.value()))
                    .transpose()
                    .map_err(|error| self.broken(&error))?,
            };
            let before = Record::undone(undo.value(), after.as_ref());
            records.insert(id.to_owned(), before.map_err(|error| self.broken(&error))?);
        }
        let parse = |(id, record): (String, _)| {
            Ok((id.parse().map_err(|error| self.broken(&error))?, record))
        };
        records.into_iter().map(parse).collect()
    }
}
