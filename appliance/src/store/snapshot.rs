//! The desired state on disk: one file, replaced whole, so that a crash leaves the old or the new.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sluice_model::objects::{Objects, Source};
use sluice_model::{Name, Object, Port};

use super::Desired;
use crate::health::BackendKey;

/// The form of the file; a change that older versions cannot read gets another number.
const FORMAT: u32 = 1;

const NAME: &str = "desired.json";
const NEXT: &str = "desired.json.next";

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file operation failed.
    #[error(
        "{path}: cannot {operation}: {error}; correct it or choose another directory with --state"
    )]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was to be done.
        operation: &'static str,
        /// Why it could not be done.
        error: io::Error,
    },
    /// The file does not hold what was written into it.
    #[error(
        "{path}: {error}; restore it from a backup, or remove it to start with the configuration directory alone"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

/// Since when the operator wants of a backend what he wants, for those that are not simply active.
pub type Since = HashMap<BackendKey, Timestamp>;

/// All that is kept.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The desired objects of all sources: should a file be broken after a restart, the last good set still holds.
    pub desired: Desired,
    /// Drain deadlines go on over a restart.
    pub since: Since,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    format: u32,
    revision: u64,
    objects: Vec<WrittenObject<'a>>,
    since: Vec<BackendSince>,
}

#[derive(Serialize, Deserialize)]
struct BackendSince {
    service: Name,
    address: IpAddr,
    port: Option<Port>,
    since: Timestamp,
}

#[derive(Serialize)]
struct WrittenObject<'a> {
    source: &'a Source,
    object: &'a Object,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Read {
    format: u32,
    revision: u64,
    objects: Vec<ReadObject>,
    #[serde(default)]
    since: Vec<BackendSince>,
}

#[derive(Deserialize)]
struct ReadObject {
    source: Source,
    object: Object,
}

impl BackendSince {
    fn new(key: &BackendKey, since: Timestamp) -> Self {
        Self { service: key.service.clone(), address: key.address, port: key.port, since }
    }
}

/// The file in the state directory.
#[derive(Clone, Debug)]
pub struct SnapshotFile {
    directory: PathBuf,
}

/// A snapshot that is on disk, but not yet in force.
#[derive(Debug)]
#[must_use = "a prepared snapshot takes effect by `commit`"]
pub struct Prepared {
    directory: PathBuf,
}

impl SnapshotFile {
    /// The file in this directory, which is made if it does not exist, and may be read by its owner only.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn open(directory: impl Into<PathBuf>) -> Result<Self, SnapshotError> {
        let directory = directory.into();
        fs::create_dir_all(&directory)
            .and_then(|()| fs::set_permissions(&directory, Permissions::from_mode(0o700)))
            .map_err(|error| io_error(&directory, "create the state directory", error))?;
        Ok(Self { directory })
    }

    /// What was kept; nothing if there is no file.
    ///
    /// # Errors
    /// When the file is there but cannot be read or understood.
    pub fn load(&self) -> Result<Snapshot, SnapshotError> {
        let path = self.directory.join(NAME);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Snapshot::default()),
            Err(error) => return Err(io_error(&path, "read", error)),
        };
        let content = |error: String| SnapshotError::Content { path: path.clone(), error };
        let read: Read =
            serde_json::from_slice(&text).map_err(|error| content(error.to_string()))?;
        if read.format != FORMAT {
            return Err(content(format!(
                "its format is {}, this version reads {FORMAT}",
                read.format
            )));
        }
        let mut objects = Objects::new();
        for ReadObject { source, object } in read.objects {
            objects.replace(object, source, None);
        }
        let since = read.since.into_iter().map(|BackendSince { service, address, port, since }| {
            (BackendKey { service, address, port }, since)
        });
        let desired = Desired { objects: Arc::new(objects), revision: read.revision };
        Ok(Snapshot { desired, since: since.collect() })
    }

    /// Writes a snapshot beside the one in force.
    ///
    /// # Errors
    /// When it cannot be written; the one in force stays.
    pub fn prepare(&self, snapshot: &Snapshot) -> Result<Prepared, SnapshotError> {
        let path = self.directory.join(NEXT);
        let written = Written {
            format: FORMAT,
            revision: snapshot.desired.revision,
            objects: snapshot
                .desired
                .objects
                .iter()
                .map(|(_, entry)| WrittenObject { source: &entry.source, object: &entry.object })
                .collect(),
            since: snapshot
                .since
                .iter()
                .map(|(key, since)| BackendSince::new(key, *since))
                .collect(),
        };
        write_synced(&path, &written).map_err(|error| io_error(&path, "write", error))?;
        Ok(Prepared { directory: self.directory.clone() })
    }
}

impl Prepared {
    /// Puts the snapshot in force.
    ///
    /// # Errors
    /// When it cannot be; the one before stays in force.
    pub fn commit(self) -> Result<(), SnapshotError> {
        let path = self.directory.join(NAME);
        fs::rename(self.directory.join(NEXT), &path)
            .map_err(|error| io_error(&path, "replace", error))?;
        // Makes the new name itself survive a power cut.
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|error| io_error(&self.directory, "sync", error))
    }
}

fn write_synced(path: &Path, written: &Written<'_>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    let mut writer = BufWriter::new(file);
    serde_json::to_writer(&mut writer, written)?;
    writer.flush()?;
    writer.get_ref().sync_all()
}

fn io_error(path: &Path, operation: &'static str, error: io::Error) -> SnapshotError {
    SnapshotError::Io { path: path.to_owned(), operation, error }
}
