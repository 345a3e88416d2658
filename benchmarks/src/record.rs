//! Results: one JSON object in each line of a file per commit.

use crate::{machine::Machine, statistics::Summary};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// One figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The benchmark: `packet`, `control` or `live`.
    pub suite: String,
    /// What was measured: `dsr/ipv4/tcp/1m/steady/prefilter-off`.
    pub case: String,
    /// What did it: `sluice`, a floor or another product.
    pub program: String,
    /// The unit of the figures.
    pub unit: String,
    /// The figures.
    #[serde(flatten)]
    pub summary: Summary,
    /// How many measurements.
    pub rounds: usize,
    /// The floor of the same case, in whose rounds this one's were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<String>,
    /// Median of the quotients to the floor, round by round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// Where and with what.
    #[serde(flatten)]
    pub machine: Machine,
}

impl Record {
    /// What another measurement of the same has in common with this one.
    pub fn key(&self) -> (&str, &str, &str) {
        (&self.suite, &self.case, &self.program)
    }
}

/// The folder of the results.
pub fn folder(repository: &Path) -> PathBuf {
    repository.join("benchmarks/results")
}

/// The file of a commit.
pub fn file(repository: &Path, commit: &str) -> PathBuf {
    folder(repository).join(format!("{commit}.jsonl"))
}

/// Reads a file of results.
///
/// # Errors
/// Names the file, and the line that is none.
pub fn read(file: &Path) -> Result<Vec<Record>> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("{}: there are no results", file.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", file.display(), number + 1))
        })
        .collect()
}

/// Puts new records into a file: those of the same measurements are replaced.
///
/// # Errors
/// When the file cannot be written.
pub fn merge(file: &Path, new: &[Record]) -> Result<()> {
    let mut records = if file.exists() { read(file)? } else { Vec::new() };
    records.retain(|old| !new.iter().any(|record| record.key() == old.key()));
    records.extend_from_slice(new);
    records.sort_by(|a, b| a.key().cmp(&b.key()));
    let mut text = String::new();
    for record in &records {
        text += &serde_json::to_string(record)?;
        text.push('\n');
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(case: &str, median: f64) -> Record {
        Record {
            suite: "packet".into(),
            case: case.into(),
            program: "sluice".into(),
            unit: "ns".into(),
            summary: Summary { median, ..Summary::default() },
            rounds: 3,
            floor: None,
            ratio: Some(1.5),
            machine: Machine::here(Path::new(".")),
        }
    }

    #[test]
    fn a_new_measurement_replaces_the_old() {
        let file = std::env::temp_dir().join(format!("sluice-records-{}", std::process::id()));
        merge(&file, &[record("b", 1.0), record("a", 2.0)]).unwrap();
        merge(&file, &[record("b", 3.0)]).unwrap();
        let records = read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        let found: Vec<_> = records.iter().map(|r| (r.case.as_str(), r.summary.median)).collect();
        assert_eq!(found, [("a", 2.0), ("b", 3.0)]);
    }
}
