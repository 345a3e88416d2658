//! The log's files. One is written; when it is full the next begins, and the oldest goes when there are too many.

use std::fs;
use std::path::{Path, PathBuf};

use crate::access::{StateError, files};

/// Bytes after which another file begins.
const FULL: u64 = 4 << 20;
/// Files that are kept: 64 MiB, some hundred thousand records.
const KEPT: usize = 16;

/// When files end and go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rotation {
    pub(super) full: u64,
    pub(super) kept: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { full: FULL, kept: KEPT }
    }
}

/// A file, by the number of its first record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

impl Segment {
    pub(super) fn new(directory: &Path, first: u64) -> Self {
        Self { first, path: directory.join(format!("audit-{first:012}.log")) }
    }

    /// The lines of the file. What a power cut left of a last line that was being written is none.
    pub(super) fn lines(&self) -> Result<Vec<String>, StateError> {
        let content = files::read(&self.path)?.unwrap_or_default();
        let whole = content.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let text = String::from_utf8_lossy(content.get(..whole).unwrap_or_default());
        Ok(text.lines().map(str::to_owned).collect())
    }
}

/// All files, the oldest first.
pub(super) fn list(directory: &Path) -> Result<Vec<Segment>, StateError> {
    let failed = |error| StateError::io(directory, "list", error);
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let number = name
            .to_str()
            .and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".log")?.parse().ok());
        if let Some(first) = number {
            segments.push(Segment::new(directory, first));
        }
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}
