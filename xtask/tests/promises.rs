//! Every promise names tests that exist, and every name of a step that the laboratory prints.

#![allow(clippy::expect_used, reason = "a test ends where it fails")]

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A line of the table of promises.
struct Promise {
    number: String,
    kept_by: String,
}

fn promises() -> Vec<Promise> {
    let text = fs::read_to_string(format!("{ROOT}/docs/promises.md")).expect("the promises");
    let rows = text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let [number, _, kept_by, ..] = cells[..] else { return None };
        number.parse::<u32>().ok()?;
        Some(Promise { number: number.to_owned(), kept_by: kept_by.to_owned() })
    });
    rows.collect()
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// Adds the files below a folder whose names end so.
fn read(folder: &Path, end: &str, found: &mut String) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path: PathBuf = entry.path();
        let name = entry.file_name();
        if path.is_dir()
            && name != "target"
            && name != "node_modules"
            && !name.as_encoded_bytes().starts_with(b".")
        {
            read(&path, end, found);
        } else if path.extension().is_some_and(|found| found == end) {
            found.push_str(&fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// What stands in the files below a folder of the repository whose names end so.
fn text_of(folder: &str, end: &str) -> String {
    let mut text = String::new();
    read(&Path::new(ROOT).join(folder), end, &mut text);
    text
}

#[test]
fn every_promise_is_kept_by_tests_that_exist() {
    let (all, laboratory) = (text_of(".", "rs"), text_of("xtask/lab/src", "rs"));
    let console = text_of("web-ui/tests", "mjs");
    let fixtures = text_of("datapath/tests/fixtures", "case");
    let promises = promises();
    assert!(promises.len() > 20, "the table of promises cannot be read");
    for Promise { number, kept_by } in promises {
        let mut tests = 0;
        for name in quoted(&kept_by) {
            if name.contains(' ') {
                // `SERVICE shares`, `all: backend added`, `prefilter IPv4`: the first word varies.
                let step = name.split_once(' ').map_or(name, |(_, step)| step);
                assert!(
                    laboratory.contains(step),
                    "promise {number}: no step `{name}` of the laboratory"
                );
                tests += 1;
            } else if name.contains('-') {
                let case = format!("case {name}\n");
                assert!(fixtures.contains(&case), "promise {number}: there is no fixture `{name}`");
            } else if name.contains('_') {
                let declared = all.contains(&format!("fn {name}("));
                assert!(declared, "promise {number}: there is no test `{name}`");
                tests += 1;
            } else if name.contains(|letter: char| letter.is_ascii_uppercase()) {
                // JavaScript writes its names so.
                let declared = console.contains(&format!("export async function {name}("));
                assert!(declared, "promise {number}: the console has no check `{name}`");
                tests += 1;
            }
        }
        assert!(
            tests > 0 || kept_by.contains("*pending*"),
            "promise {number} names no test: {kept_by}"
        );
    }
}
