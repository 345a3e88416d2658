//! The state on disk: one embedded database, in which a change is a transaction.
//!
//! Desired objects are kept one by one, so that a small change writes little however much there is. A revision keeps what
//! leads back to the one before. Everything that belongs to a change (objects, history, the commit that waits to be
//! confirmed, the candidate that it was) is in one transaction: a power cut leaves all of it or nothing.

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File, OpenOptions, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, TableDefinition, WriteTransaction,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sluice_model::objects::Objects;
use sluice_model::{Diff, Name, ObjectId, Port};

use super::candidate::{Candidate, Candidates};
use super::record::{Record, RecordError};
use super::{Desired, StoreError, migration};
use crate::health::BackendKey;
use crate::wire::{ConfirmationState, Revision};

/// The form of the database; a change that older versions cannot read gets another number.
const FORMAT: u64 = 1;

const NAME: &str = "sluice.redb";

/// Revisions that are kept.
const KEPT: u64 = 1024;

/// Memory for pages. What is read often is in the engine's memory anyway.
const CACHE_BYTES: usize = 16 << 20;

/// A daemon that was killed holds the file until the kernel has freed its tables and all else.
const DYING: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(20);

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("objects");
const SINCE: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("since");
pub(super) const REVISIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("revisions");
pub(super) const DIFFS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("diffs");
pub(super) const BEFORE: TableDefinition<'_, (u64, &str), &[u8]> = TableDefinition::new("before");
const CANDIDATES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("candidates");
const EDITS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("edits");

/// Keys of [`META`].
const FORMAT_KEY: &str = "format";
const REVISION_KEY: &str = "revision";
const PENDING_KEY: &str = "pending";
const DIRECTORY_KEY: &str = "directory";

/// Since when the operator wants of a backend what he wants, for those that are not simply active.
pub type Since = HashMap<BackendKey, Timestamp>;

/// All that is kept but the history.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The desired objects of all sources: should a file be broken after a restart, the last good set still holds.
    pub desired: Desired,
    /// Drain deadlines go on over a restart.
    pub since: Since,
    /// The commit that waits to be confirmed.
    pub pending: Option<Pending>,
    /// What the configuration directory said when it last took effect.
    pub directory: Option<String>,
    /// What editors prepare.
    pub candidates: Candidates,
}

/// A commit that is undone unless it is confirmed in time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pending {
    /// The revision that waits.
    pub revision: u64,
    /// Whose objects return.
    pub returns_to: u64,
    /// Who committed.
    pub author: String,
    /// When it returns, by the machine's clock.
    pub until: Timestamp,
    /// The time it was given: it never waits longer, wherever the clock is set.
    pub seconds: u32,
}

/// What a transaction writes.
#[derive(Debug)]
pub struct Write<'a> {
    /// What was desired before.
    pub before: &'a Desired,
    /// What is desired now.
    pub after: &'a Desired,
    /// Since when, before and now.
    pub since: (&'a Since, &'a Since),
    /// The new revision with what it changed; `None` if there is none.
    pub revision: Option<(&'a Revision, &'a Diff)>,
    /// The commit that waits to be confirmed becomes another, or none, or stays.
    pub pending: Pended<'a>,
    /// What the configuration directory said, if that took effect.
    pub directory: Option<&'a str>,
    /// The editor whose candidate this is.
    pub candidate_of: Option<&'a str>,
}

/// What becomes of the commit that waits to be confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub enum Pended<'a> {
    /// It stays as it is.
    #[default]
    Stays,
    /// Now this one waits.
    Begins(&'a Pending),
    /// It waits no more.
    Ends(u64, ConfirmationState),
}

/// The database in the state directory.
pub struct Store {
    open: Box<dyn Fn() -> Result<Database, StoreError> + Send>,
    /// `None` only after it could not be opened again.
    database: Option<Database>,
    pub(super) path: PathBuf,
    failed: bool,
}

/// A transaction that is not yet in force.
#[must_use = "a prepared transaction takes effect by `commit`"]
pub struct Prepared {
    transaction: WriteTransaction,
    path: PathBuf,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// The database in this directory, which is made if it does not exist, and may be read by its owner only. Takes over
    /// what an older version of Sluice left there.
    ///
    /// # Errors
    /// When the directory or the database cannot be made or read, or another daemon uses it.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let directory = directory.into();
        fs::create_dir_all(&directory)
            .and_then(|()| fs::set_permissions(&directory, Permissions::from_mode(0o700)))
            .map_err(|error| StoreError::io(&directory, "create the state directory", error))?;
        let path = directory.join(NAME);
        let place = path.clone();
        let mut store = Self::begin(path, Box::new(move || open_file(&place)))?;
        migration::run(&mut store, &directory)?;
        Ok(store)
    }

    /// The same on something else than a file: for tests that let writes fail.
    ///
    /// # Errors
    /// When the database cannot be made or read.
    pub fn open_on<B: StorageBackend>(
        backend: impl Fn() -> B + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = PathBuf::from("memory");
        let place = path.clone();
        let open = move || {
            let opened = builder().create_with_backend(backend());
            opened.map_err(|error| database_error(&place, "open the database", error))
        };
        Self::begin(path, Box::new(open))
    }

    fn begin(
        path: PathBuf,
        open: Box<dyn Fn() -> Result<Database, StoreError> + Send>,
    ) -> Result<Self, StoreError> {
        let database = Some(open()?);
        let mut store = Self { open, database, path, failed: false };
        store.make_tables()?;
        Ok(store)
    }

    /// Makes the tables of a new database; refuses one of another format.
    fn make_tables(&mut self) -> Result<(), StoreError> {
        let format = {
            let transaction = self.read()?;
            match transaction.open_table(META) {
                Ok(table) => self.number(&table, FORMAT_KEY)?,
                Err(redb::TableError::TableDoesNotExist(_)) => None,
                Err(error) => return Err(self.error("read", error)),
            }
        };
        match format {
            Some(FORMAT) => return Ok(()),
            Some(format) => {
                let error = format!("its format is {format}, this version reads {FORMAT}");
                return Err(StoreError::content(&self.path, error));
            }
            None => {}
        }
        let path = self.path.clone();
        let transaction = self.write()?;
        let make = || -> Result<(), redb::Error> {
            transaction.open_table(OBJECTS)?;
            transaction.open_table(SINCE)?;
            transaction.open_table(REVISIONS)?;
            transaction.open_table(DIFFS)?;
            transaction.open_table(BEFORE)?;
            transaction.open_table(CANDIDATES)?;
            transaction.open_table(EDITS)?;
            let mut meta = transaction.open_table(META)?;
            meta.insert(FORMAT_KEY, &FORMAT.to_le_bytes()[..])?;
            Ok(())
        };
        make().map_err(|error| database_error(&path, "make the tables", error))?;
        transaction.commit().map_err(|error| database_error(&path, "make the tables", error))
    }

    /// What was kept; nothing if the database is new.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(&self) -> Result<Snapshot, StoreError> {
        let transaction = self.read()?;
        let meta = self.table(&transaction, META)?;
        let revision = self.number(&meta, REVISION_KEY)?.unwrap_or(0);
        let mut objects = Objects::new();
        let table = self.table(&transaction, OBJECTS)?;
        for row in table.iter().map_err(|error| self.error("read objects", error))? {
            let (_, record) = row.map_err(|error| self.error("read objects", error))?;
            let entry = Record::from_bytes(record.value()).and_then(|record| record.entry());
            let entry = entry.map_err(|error| self.broken(&error))?;
            objects.replace(entry.object, entry.source, None);
        }
        Ok(Snapshot {
            desired: Desired { objects: Arc::new(objects), revision },
            since: self.load_since(&transaction)?,
            pending: self.value(&meta, PENDING_KEY)?,
            directory: self.value(&meta, DIRECTORY_KEY)?,
            candidates: self.load_candidates(&transaction)?,
        })
    }

    fn load_since(&self, transaction: &ReadTransaction) -> Result<Since, StoreError> {
        let table = self.table(transaction, SINCE)?;
        let mut since = Since::new();
        for row in table.iter().map_err(|error| self.error("read drain times", error))? {
            let (key, time) = row.map_err(|error| self.error("read drain times", error))?;
            since.insert(
                self.json::<Kept>(key.value().as_bytes())?.into(),
                self.json(time.value())?,
            );
        }
        Ok(since)
    }

    fn load_candidates(&self, transaction: &ReadTransaction) -> Result<Candidates, StoreError> {
        let mut candidates = Candidates::new();
        let table = self.table(transaction, CANDIDATES)?;
        for row in table.iter().map_err(|error| self.error("read candidates", error))? {
            let (editor, head) = row.map_err(|error| self.error("read candidates", error))?;
            candidates.insert(editor.value().to_owned(), self.json(head.value())?);
        }
        let table = self.table(transaction, EDITS)?;
        for row in table.iter().map_err(|error| self.error("read candidates", error))? {
            let (key, edit) = row.map_err(|error| self.error("read candidates", error))?;
            let (editor, id) = key.value();
            let id: ObjectId = id.parse().map_err(|error| self.broken(&error))?;
            if let Some(candidate) = candidates.get_mut(editor) {
                candidate.edits.insert(id, self.json(edit.value())?);
            }
        }
        Ok(candidates)
    }

    /// Writes a change, and everything that belongs to it, beside what is in force.
    ///
    /// # Errors
    /// When it cannot be written; what is in force stays.
    pub fn prepare(&mut self, write: &Write<'_>) -> Result<Prepared, StoreError> {
        let transaction = self.write()?;
        let path = self.path.clone();
        match fill(&transaction, write) {
            Ok(()) => Ok(Prepared { transaction, path }),
            Err(error) => {
                self.failed = true;
                Err(match error {
                    FillError::Database(error) => database_error(&path, "write", *error),
                    FillError::Record(error) => StoreError::content(&path, error),
                    FillError::Json(error) => StoreError::content(&path, error),
                })
            }
        }
    }

    /// Writes a change at once.
    ///
    /// # Errors
    /// When it cannot be written; what is in force stays.
    pub fn put(&mut self, write: &Write<'_>) -> Result<(), StoreError> {
        let prepared = self.prepare(write)?;
        let done = prepared.commit();
        self.failed |= done.is_err();
        done
    }

    /// Keeps what an editor prepares: the objects with these names as they are in the candidate now. Without a candidate,
    /// everything of the editor goes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put_candidate(
        &mut self,
        editor: &str,
        candidate: Option<&Candidate>,
        touched: &[ObjectId],
    ) -> Result<(), StoreError> {
        let transaction = self.write()?;
        let path = self.path.clone();
        let fill = || -> Result<(), FillError> {
            let Some(candidate) = candidate else { return drop_candidate(&transaction, editor) };
            let head = serde_json::to_vec(candidate)?;
            transaction.open_table(CANDIDATES)?.insert(editor, &head[..])?;
            let mut edits = transaction.open_table(EDITS)?;
            for id in touched {
                let key = id.to_string();
                match candidate.edits.get(id) {
                    Some(edit) => {
                        edits.insert((editor, &key[..]), &serde_json::to_vec(edit)?[..])?;
                    }
                    None => {
                        edits.remove((editor, &key[..]))?;
                    }
                }
            }
            Ok(())
        };
        let filled = fill().map_err(|error| match error {
            FillError::Database(error) => database_error(&path, "write a candidate", *error),
            FillError::Record(error) => StoreError::content(&path, error),
            FillError::Json(error) => StoreError::content(&path, error),
        });
        let done = filled.and_then(|()| Prepared { transaction, path: path.clone() }.commit());
        self.failed |= done.is_err();
        done
    }

    /// A write failed: the database is opened anew before the next one, because it does not go on after an error.
    pub fn doubt(&mut self) {
        self.failed = true;
    }

    /// Opens the database anew after a failure. What is only read needs it, too: a handle that could not be opened again
    /// answers nothing.
    ///
    /// # Errors
    /// When it still cannot be opened.
    pub fn mend(&mut self) -> Result<(), StoreError> {
        if self.failed {
            // The file is locked: the old handle goes first.
            self.database = None;
            self.database = Some((self.open)()?);
            self.failed = false;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<WriteTransaction, StoreError> {
        self.mend()?;
        let begun = self.database()?.begin_write();
        // After one failure, of a read too, this handle refuses for good.
        self.failed |= begun.is_err();
        begun.map_err(|error| self.error("begin to write", error))
    }

    pub(super) fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.database()?.begin_read().map_err(|error| self.error("begin to read", error))
    }

    fn database(&self) -> Result<&Database, StoreError> {
        let closed = || StoreError::content(&self.path, "it could not be opened again");
        self.database.as_ref().ok_or_else(closed)
    }

    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        transaction: &ReadTransaction,
        table: TableDefinition<'_, K, V>,
    ) -> Result<redb::ReadOnlyTable<K, V>, StoreError> {
        transaction.open_table(table).map_err(|error| self.error("read", error))
    }

    fn number(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        key: &str,
    ) -> Result<Option<u64>, StoreError> {
        let found = table.get(key).map_err(|error| self.error("read", error))?;
        let number = |bytes: &[u8]| {
            let broken = |_| StoreError::content(&self.path, format!("{key} is not a number"));
            <[u8; 8]>::try_from(bytes).map(u64::from_le_bytes).map_err(broken)
        };
        found.map(|bytes| number(bytes.value())).transpose()
    }

    fn value<T: DeserializeOwned>(
        &self,
        table: &impl ReadableTable<&'static str, &'static [u8]>,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let found = table.get(key).map_err(|error| self.error("read", error))?;
        found.map(|bytes| self.json(bytes.value())).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&self, bytes: &[u8]) -> Result<T, StoreError> {
        serde_json::from_slice(bytes).map_err(|error| self.broken(&error))
    }

    pub(super) fn broken(&self, error: &dyn fmt::Display) -> StoreError {
        StoreError::content(&self.path, error)
    }

    pub(super) fn error(
        &self,
        operation: &'static str,
        error: impl Into<redb::Error>,
    ) -> StoreError {
        database_error(&self.path, operation, error)
    }
}

impl Prepared {
    /// Puts the change in force.
    ///
    /// # Errors
    /// When it cannot be; what was in force stays.
    pub fn commit(self) -> Result<(), StoreError> {
        let committed = self.transaction.commit();
        committed.map_err(|error| database_error(&self.path, "commit", error))
    }
}

/// Why a transaction cannot be filled.
#[derive(Debug, thiserror::Error)]
enum FillError {
    #[error(transparent)]
    Database(Box<redb::Error>),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl From<redb::TableError> for FillError {
    fn from(error: redb::TableError) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl From<redb::StorageError> for FillError {
    fn from(error: redb::StorageError) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

fn fill(transaction: &WriteTransaction, write: &Write<'_>) -> Result<(), FillError> {
    fill_objects(transaction, write)?;
    fill_since(transaction, write.since)?;
    let mut meta = transaction.open_table(META)?;
    meta.insert(REVISION_KEY, &write.after.revision.to_le_bytes()[..])?;
    if let Some(directory) = write.directory {
        meta.insert(DIRECTORY_KEY, &serde_json::to_vec(directory)?[..])?;
    }
    match write.pending {
        Pended::Stays => {}
        Pended::Begins(pending) => {
            meta.insert(PENDING_KEY, &serde_json::to_vec(pending)?[..])?;
        }
        Pended::Ends(revision, state) => {
            meta.remove(PENDING_KEY)?;
            let mut revisions = transaction.open_table(REVISIONS)?;
            let found = revisions.get(revision)?.map(|bytes| bytes.value().to_vec());
            if let Some(bytes) = found {
                let mut record: Revision = serde_json::from_slice(&bytes)?;
                record.confirmation = Some(state);
                revisions.insert(revision, &serde_json::to_vec(&record)?[..])?;
            }
        }
    }
    if let Some((revision, diff)) = write.revision {
        let number = revision.revision;
        let mut revisions = transaction.open_table(REVISIONS)?;
        revisions.insert(number, &serde_json::to_vec(revision)?[..])?;
        transaction.open_table(DIFFS)?.insert(number, &serde_json::to_vec(diff)?[..])?;
        prune(transaction, &mut revisions)?;
    }
    match write.candidate_of {
        Some(editor) => drop_candidate(transaction, editor),
        None => Ok(()),
    }
}

/// Writes the objects that differ, and the way back.
fn fill_objects(transaction: &WriteTransaction, write: &Write<'_>) -> Result<(), FillError> {
    let (before, after) = (&write.before.objects, &write.after.objects);
    let mut objects = transaction.open_table(OBJECTS)?;
    let mut ways_back = transaction.open_table(BEFORE)?;
    let mut way_back = |id: &ObjectId, old: Option<&Record>, new: Option<&Record>| {
        let Some((revision, _)) = write.revision else { return Ok::<_, FillError>(()) };
        let key = id.to_string();
        ways_back.insert((revision.revision, &key[..]), &Record::undo(old, new)[..])?;
        Ok(())
    };
    for (id, entry) in after.iter() {
        let old = before.get(id);
        let is_same = old.is_some_and(|old| {
            old.source == entry.source
                && (Arc::ptr_eq(&old.object, &entry.object) || old.object == entry.object)
        });
        if is_same {
            continue;
        }
        let (old, new) = (old.map(Record::of).transpose()?, Record::of(entry)?);
        objects.insert(&id.to_string()[..], &new.to_bytes()[..])?;
        way_back(id, old.as_ref(), Some(&new))?;
    }
    for (id, entry) in before.iter().filter(|(id, _)| after.get(id).is_none()) {
        objects.remove(&id.to_string()[..])?;
        way_back(id, Some(&Record::of(entry)?), None)?;
    }
    Ok(())
}

fn fill_since(
    transaction: &WriteTransaction,
    (before, after): (&Since, &Since),
) -> Result<(), FillError> {
    let mut table = transaction.open_table(SINCE)?;
    for key in before.keys().filter(|key| !after.contains_key(key)) {
        table.remove(&serde_json::to_string(&Kept::from(key))?[..])?;
    }
    for (key, time) in after.iter().filter(|(key, time)| before.get(key) != Some(time)) {
        let key = serde_json::to_string(&Kept::from(key))?;
        table.insert(&key[..], &serde_json::to_vec(time)?[..])?;
    }
    Ok(())
}

/// Forgets the oldest revisions.
fn prune(
    transaction: &WriteTransaction,
    revisions: &mut redb::Table<'_, u64, &'static [u8]>,
) -> Result<(), FillError> {
    use redb::ReadableTableMetadata;
    while revisions.len()? > KEPT {
        let Some(oldest) = revisions.pop_first()?.map(|(number, _)| number.value()) else { break };
        transaction.open_table(DIFFS)?.remove(oldest)?;
        let mut ways_back = transaction.open_table(BEFORE)?;
        // The objects of the oldest that is kept need no way back either.
        ways_back.retain_in((0, "")..(oldest + 1, ""), |_, _| false)?;
    }
    Ok(())
}

fn drop_candidate(transaction: &WriteTransaction, editor: &str) -> Result<(), FillError> {
    transaction.open_table(CANDIDATES)?.remove(editor)?;
    let mut edits = transaction.open_table(EDITS)?;
    let keys: Vec<String> = edits
        .range((editor, "")..)?
        .map_while(|row| match row {
            Ok((key, _)) if key.value().0 == editor => Some(Ok(key.value().1.to_owned())),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        })
        .collect::<Result<_, _>>()?;
    for id in keys {
        edits.remove((editor, &id[..]))?;
    }
    Ok(())
}

/// A backend's key as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    service: Name,
    address: IpAddr,
    port: Option<Port>,
}

impl From<&BackendKey> for Kept {
    fn from(key: &BackendKey) -> Self {
        Self { service: key.service.clone(), address: key.address, port: key.port }
    }
}

impl From<Kept> for BackendKey {
    fn from(Kept { service, address, port }: Kept) -> Self {
        Self { service, address, port }
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn open_file(path: &Path) -> Result<Database, StoreError> {
    let begin = Instant::now();
    loop {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| StoreError::io(path, "open the database", error))?;
        let backend = FileBackend::new(file)
            .map_err(|error| database_error(path, "open the database", error))?;
        match builder().create_with_backend(backend) {
            Ok(database) => {
                // Makes the new name itself survive a power cut.
                let parent = path.parent().unwrap_or(path);
                File::open(parent)
                    .and_then(|directory| directory.sync_all())
                    .map_err(|error| StoreError::io(parent, "sync", error))?;
                return Ok(database);
            }
            Err(DatabaseError::DatabaseAlreadyOpen) if begin.elapsed() < DYING => sleep(LOOK),
            Err(DatabaseError::DatabaseAlreadyOpen) => {
                return Err(StoreError::InUse(path.to_owned()));
            }
            Err(error) => return Err(database_error(path, "open the database", error)),
        }
    }
}

fn database_error(
    path: &Path,
    operation: &'static str,
    error: impl Into<redb::Error>,
) -> StoreError {
    StoreError::Database { path: path.to_owned(), operation, error: Box::new(error.into()) }
}
