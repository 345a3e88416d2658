//! Writing and reading.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use tracing::{error, info, warn};

use super::chain::{self, Checked, ENDS, Ends};
use super::record::{self, Entry, Outcome, Record};
use super::segments::{self, Rotation, Segment};
use crate::access::{StateError, files};

const DIRECTORY: &str = "audit";
/// Longer addresses and reasons are cut.
const TEXT_LETTERS: usize = 512;
/// A value longer than that is recorded as its length: a record is no backup.
const VALUE_BYTES: usize = 16 << 10;

/// The log. Every record is on the disk before [`AuditLog::append`] returns.
#[derive(Debug)]
pub struct AuditLog {
    directory: PathBuf,
    rotation: Rotation,
    end: Mutex<End>,
}

#[derive(Debug)]
struct End {
    ends: Ends,
    file: Option<File>,
    length: u64,
}

impl AuditLog {
    /// Opens the log below a directory, and goes on behind its last record.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(state: &Path) -> Result<Self, StateError> {
        Self::open_with(state, Rotation::default())
    }

    pub(super) fn open_with(state: &Path, rotation: Rotation) -> Result<Self, StateError> {
        let directory = state.join(DIRECTORY);
        files::directory(&directory)?;
        let mut ends: Ends = files::read_json(&directory.join(ENDS))?;
        // A power cut may have come between a record and the note of it.
        for line in segments::list(&directory)?.last().map_or(Ok(Vec::new()), Segment::lines)? {
            if let Some((record, hash)) = record::parse(&line)
                && record.number > ends.last
            {
                ends.last = record.number;
                hash.clone_into(&mut ends.last_hash);
            }
        }
        let end = Mutex::new(End { ends, file: None, length: 0 });
        let log = Self { directory, rotation, end };
        match log.check() {
            Ok(checked) if !checked.broken.is_empty() => {
                let first = checked.broken.first().map(|broken| &broken.problem);
                error!(problem = ?first, "the audit log was tampered with or damaged: `sluice audit check` says where");
            }
            Ok(_) => {}
            Err(error) => warn!(%error, "the audit log cannot be checked"),
        }
        Ok(log)
    }

    /// Writes down that something is about to be done; returns the number that its end is to name.
    ///
    /// # Errors
    /// When it cannot be written: then it must not be done.
    pub fn begin(&self, mut entry: Entry) -> Result<u64, StateError> {
        shorten(&mut entry);
        self.write(entry).inspect_err(|error| error!(%error, "the audit log cannot be written"))
    }

    /// Adds a record, and tells the daemon's log, which journald keeps elsewhere.
    pub fn append(&self, mut entry: Entry) {
        shorten(&mut entry);
        for value in [&mut entry.before, &mut entry.after] {
            let length = value.as_ref().map_or(0, |value| value.to_string().len());
            if length > VALUE_BYTES {
                *value = Some(format!("{length} bytes").into());
            }
        }
        tell(&entry);
        if let Err(error) = self.write(entry) {
            error!(%error, "the audit log cannot be written");
        }
    }

    fn write(&self, entry: Entry) -> Result<u64, StateError> {
        let mut end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        let record = Record {
            number: end.ends.last + 1,
            time: Timestamp::now(),
            previous: end.ends.last_hash.clone(),
            entry,
        };
        let (line, hash) =
            record::line(&record).map_err(|error| StateError::content(&self.directory, &error))?;
        let mut file = match end.file.take() {
            Some(file) if end.length < self.rotation.full => file,
            _ => self.next_file(&mut end, record.number)?,
        };
        let written =
            file.write_all(format!("{line}\n").as_bytes()).and_then(|()| file.sync_data());
        // After a failure the file is opened anew, and half a line cut off.
        written.map_err(|error| StateError::io(&self.directory, "write", error))?;
        end.file = Some(file);
        end.length += line.len() as u64 + 1;
        end.ends.last = record.number;
        end.ends.last_hash = hash;
        files::write_json(&self.directory.join(ENDS), &end.ends)?;
        Ok(record.number)
    }

    /// The file for the next record: the newest, or a new one if that is full.
    fn next_file(&self, end: &mut End, number: u64) -> Result<File, StateError> {
        let mut all = segments::list(&self.directory)?;
        let newest = all.last().filter(|_| end.length < self.rotation.full).cloned();
        let segment = newest.unwrap_or_else(|| Segment::new(&self.directory, number));
        let failed = |error| StateError::io(&segment.path, "open", error);
        let mut file = files::private(&segment.path, OpenOptions::new().create(true).write(true))
            .map_err(failed)?;
        let whole = segment.lines()?.iter().map(|line| line.len() as u64 + 1).sum();
        if whole >= self.rotation.full {
            end.length = whole;
            return self.next_file(end, number);
        }
        file.set_len(whole)
            .and_then(|()| file.seek(SeekFrom::Start(whole)))
            .and_then(|_| files::sync_parent(&segment.path))
            .map_err(failed)?;
        end.length = whole;
        if !all.contains(&segment) {
            all.push(segment);
            self.forget(end, &all)?;
        }
        Ok(file)
    }

    /// Removes the oldest files. First it is noted where the log begins then: what is missing before that is no damage.
    fn forget(&self, end: &mut End, all: &[Segment]) -> Result<(), StateError> {
        let surplus = all.len().saturating_sub(self.rotation.kept);
        let (old, kept) = all.split_at(surplus);
        let Some(oldest) = kept.first().filter(|_| surplus > 0) else { return Ok(()) };
        let first = oldest.lines()?.first().and_then(|line| record::parse(line).map(|(r, _)| r));
        end.ends.first = oldest.first;
        end.ends.before_first =
            first.map_or_else(|| end.ends.last_hash.clone(), |record| record.previous);
        files::write_json(&self.directory.join(ENDS), &end.ends)?;
        for segment in old {
            std::fs::remove_file(&segment.path)
                .map_err(|error| StateError::io(&segment.path, "remove", error))?;
        }
        Ok(())
    }

    /// The newest records with numbers below `before`, the newest first. That something would be done is left out where its end
    /// is recorded, too.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn read(&self, before: Option<u64>, limit: usize) -> Result<Vec<Record>, StateError> {
        let before = before.unwrap_or(u64::MAX);
        let (mut found, mut ended) = (Vec::new(), HashSet::new());
        // From the very newest: the end of what is looked for may stand there.
        for segment in segments::list(&self.directory)?.iter().rev() {
            for line in segment.lines()?.iter().rev() {
                if found.len() == limit {
                    return Ok(found);
                }
                let Some((record, _)) = record::parse(line) else { continue };
                ended.extend(record.entry.begun);
                let is_told = record.entry.is_beginning() && ended.contains(&record.number);
                if record.number < before && !is_told {
                    found.push(record);
                }
            }
        }
        Ok(found)
    }

    /// Whether the log is whole.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn check(&self) -> Result<Checked, StateError> {
        // Nothing is written meanwhile.
        let _end = self.end.lock().unwrap_or_else(PoisonError::into_inner);
        chain::check(&self.directory)
    }
}

/// Addresses and reasons hold what was sent: a long one shall not push others out of the log.
fn shorten(entry: &mut Entry) {
    for text in [Some(&mut entry.action), entry.reason.as_mut()].into_iter().flatten() {
        if let Some((end, _)) = text.char_indices().nth(TEXT_LETTERS) {
            text.truncate(end);
        }
    }
}

/// Its own target, so that it can be kept apart, and is logged whatever `--log` leaves out.
fn tell(entry: &Entry) {
    let Entry { who, kind, from, action, status, .. } = entry;
    let reason = entry.reason.as_deref();
    let after = entry.after.as_ref().map(tracing::field::display);
    match entry.outcome {
        Outcome::Allowed => {
            info!(target: "sluice_audit", who, kind, from, action, status, after, "allowed");
        }
        Outcome::Refused => {
            warn!(target: "sluice_audit", who, kind, from, action, status, reason, "refused");
        }
        Outcome::Failed => {
            info!(target: "sluice_audit", who, kind, from, action, status, reason, "failed");
        }
    }
}
