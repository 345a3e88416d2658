//! Is the log whole?

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::record::{self, NONE};
use super::segments;
use crate::access::{StateError, files};

/// Where the log begins and ends, kept beside it: without it, nobody could tell that the last lines were cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ends {
    /// The number of the oldest record that is kept, and the hash of the one before it.
    pub(super) first: u64,
    pub(super) before_first: String,
    /// The number and the hash of the newest record.
    pub(super) last: u64,
    pub(super) last_hash: String,
}

impl Default for Ends {
    fn default() -> Self {
        Self { first: 1, before_first: NONE.to_owned(), last: 0, last_hash: NONE.to_owned() }
    }
}

pub(super) const ENDS: &str = "ends.json";

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Checked {
    /// Records that are there.
    pub records: u64,
    /// The number of the oldest.
    pub first: u64,
    /// The number of the newest.
    pub last: u64,
    /// Where the chain is broken; nothing if it is whole.
    pub broken: Vec<Broken>,
}

/// A place where the chain is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Broken {
    /// The file.
    pub file: String,
    /// The line in it, from 1.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

/// More are not told: the first says where to look.
const TOLD: usize = 20;

/// Follows the chain from the oldest record to the newest.
pub(super) fn check(directory: &Path) -> Result<Checked, StateError> {
    let ends: Ends = files::read_json(&directory.join(ENDS))?;
    let mut checked = Checked { records: 0, first: ends.first, last: 0, broken: Vec::new() };
    let (mut number, mut previous) = (ends.first, ends.before_first);
    let mut place = (String::new(), 0);
    let mut saw_last = ends.last + 1 == ends.first;
    // Older files were about to be removed when the power was cut.
    let segments = segments::list(directory)?;
    for segment in segments.iter().filter(|segment| segment.first >= ends.first) {
        let file = segment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for (index, line) in segment.lines()?.iter().enumerate() {
            place = (file.clone(), index as u64 + 1);
            let broken = |problem: String| Broken { file: file.clone(), line: place.1, problem };
            let Some((record, hash)) = record::parse(line) else {
                checked.broken.push(broken("the line was changed: its hash is not its own".into()));
                number += 1;
                previous = String::new();
                continue;
            };
            if record.number != number {
                let problem = format!("record {number} is missing, {} follows", record.number);
                checked.broken.push(broken(problem));
            } else if record.previous != previous && !previous.is_empty() {
                let problem =
                    "the record before was exchanged: its hash is not the one that is named here";
                checked.broken.push(broken(problem.into()));
            }
            if record.number == ends.last && hash == ends.last_hash {
                saw_last = true;
            }
            number = record.number + 1;
            hash.clone_into(&mut previous);
            checked.records += 1;
            checked.last = record.number;
        }
    }
    if !saw_last {
        let problem = format!("record {} is missing or exchanged: it was the last one", ends.last);
        checked.broken.push(Broken { file: place.0, line: place.1, problem });
    }
    checked.broken.truncate(TOLD);
    Ok(checked)
}
