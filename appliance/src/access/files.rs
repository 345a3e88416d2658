//! Files in the state directory: for their owner only, and replaced whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Why what is known about users, tokens, certificates or the audit log cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file operation failed.
    #[error("{}: cannot {operation}: {error}; correct it or choose another directory with --state", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What was to be done.
        operation: &'static str,
        /// Why it could not be done.
        error: io::Error,
    },
    /// The file does not hold what was written into it.
    #[error("{}: {error}; restore it from a backup, or remove it to begin anew", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

impl StateError {
    pub(super) fn io(path: &Path, operation: &'static str, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), operation, error }
    }

    pub(super) fn content(path: &Path, error: &dyn std::fmt::Display) -> Self {
        Self::Content { path: path.to_owned(), error: error.to_string() }
    }
}

/// Makes a directory that only its owner may enter.
pub(super) fn directory(path: &Path) -> Result<(), StateError> {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(|error| StateError::io(path, "make the directory", error))
}

/// The file's content; `None` if there is no file.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StateError::io(path, "read", error)),
    }
}

/// A value that was kept as JSON; the default if there is no file.
pub(super) fn read_json<T: DeserializeOwned + Default>(path: &Path) -> Result<T, StateError> {
    let Some(content) = read(path)? else { return Ok(T::default()) };
    serde_json::from_slice(&content).map_err(|error| StateError::content(path, &error))
}

/// Keeps a value as JSON.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let text =
        serde_json::to_vec_pretty(value).map_err(|error| StateError::content(path, &error))?;
    replace(path, &text)
}

/// Puts a file in the place of another, or of none: a crash leaves the old or the new.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StateError> {
    let next = path.with_added_extension("next");
    let write = || {
        let mut file = private(&next, OpenOptions::new().write(true).create(true).truncate(true))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&next, path)?;
        sync_parent(path)
    };
    write().map_err(|error| StateError::io(path, "write", error))
}

/// Opens a file that only its owner may read.
pub(super) fn private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.mode(0o600).open(path)
}

/// What was made, renamed or removed in a directory is so after a power cut only when the directory is synced.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}
