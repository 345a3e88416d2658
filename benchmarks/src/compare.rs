//! `compare A B`: what changed between two commits.

use crate::record::{self, Record};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// The file of a commit, of an unambiguous beginning of one, or of a path.
///
/// # Errors
/// When there is none, or more than one.
pub fn find(repository: &Path, name: &str) -> Result<PathBuf> {
    let path = PathBuf::from(name);
    if path.is_file() {
        return Ok(path);
    }
    let folder = record::folder(repository);
    let files = fs::read_dir(&folder)
        .with_context(|| format!("{}: there are no results", folder.display()))?;
    let mut found: Vec<PathBuf> = files
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .filter(|path| {
            path.file_stem().is_some_and(|stem| stem.to_string_lossy().starts_with(name))
        })
        .collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => bail!(
            "no results of {name} in {}: `cargo xtask bench packet` makes them",
            folder.display()
        ),
        [first, ..] if first.file_stem().is_some_and(|stem| stem == name) => Ok(first.clone()),
        more => bail!("{name} may be {} files: say more of it", more.len()),
    }
}

/// A line for each figure that both have.
pub fn lines(old: &[Record], new: &[Record]) -> Vec<String> {
    let mut lines = Vec::new();
    for record in new.iter().filter(|record| record.program == "sluice") {
        let Some(before) = old.iter().find(|old| old.key() == record.key()) else { continue };
        let (a, b) = (before.summary.median, record.summary.median);
        let unit = &record.unit;
        let mut line =
            format!("{:60} {a:9.1} -> {b:9.1} {unit:4} ({:+.0} %)", record.case, percent(a, b));
        if let (Some(a), Some(b)) = (before.ratio, record.ratio) {
            line += &format!("   to the floor {a:.2} -> {b:.2} ({:+.0} %)", percent(a, b));
        }
        lines.push(line);
    }
    lines
}

fn percent(before: f64, now: f64) -> f64 {
    if before == 0.0 { 0.0 } else { (now / before - 1.0) * 100.0 }
}
