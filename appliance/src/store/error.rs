//! Why the state directory cannot be used.

use std::io;
use std::path::{Path, PathBuf};

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
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
    /// The database cannot be read or written.
    #[error(
        "{path}: cannot {operation}: {error}; make room or correct it, or choose another directory with --state"
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// What was to be done.
        operation: &'static str,
        /// Why it could not be done.
        error: Box<redb::Error>,
    },
    /// The file does not hold what was written into it.
    #[error(
        "{path}: {error}; restore it from a backup, or move it away to start with the configuration directory alone"
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
    /// Another daemon has the file.
    #[error(
        "{0}: another sluiced uses it; stop that one first or choose another directory with --state"
    )]
    InUse(PathBuf),
}

impl StoreError {
    pub(super) fn io(path: &Path, operation: &'static str, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), operation, error }
    }

    pub(super) fn content(path: &Path, error: impl ToString) -> Self {
        Self::Content { path: path.to_owned(), error: error.to_string() }
    }
}
