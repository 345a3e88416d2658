//! Running `cargo test` and reading what Rust's test harness prints.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::summary::Summary;
use crate::{paths, run};

/// Packets that the programs in the kernel and the native stages are compared with.
const PACKETS: &str = "1000000";
const PACKETS_LONG: &str = "5000000";

/// Runs `cargo test ARGUMENTS`. The whole output goes to `.cache/test-log/TIER.log`; failures are printed in full, and
/// the lines of tests that begin with `note: `.
pub(crate) fn cargo_test(tier: &str, arguments: &[String], long: bool) -> Result<Summary> {
    let mut command = run::cargo();
    command.arg("test").arg("--no-fail-fast").args(arguments).args(["--", "--show-output"]);
    command.env("SLUICE_PACKETS", if long { PACKETS_LONG } else { PACKETS });
    if long {
        command.env("SLUICE_LONG", "1");
    }
    println!("$ {}", run::shown(&command));
    // One pipe for both streams keeps cargo's headings where they belong among the results.
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().context("cannot start cargo")?;
    drop(command);
    let mut log = log_file(tier)?;
    let mut parser = Parser::default();
    for line in BufReader::new(reader).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        writeln!(log, "{line}")?;
        if let Some(shown) = parser.line(&line) {
            println!("{shown}");
        }
    }
    let status = child.wait()?;
    Ok(parser.finish(status.success(), &arguments.join(" ")))
}

/// Begins the log of a tier anew: what an earlier run wrote is not about this one.
pub(crate) fn begin_log(tier: &str) -> Result<()> {
    let file = log_path(tier);
    match fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn log_path(tier: &str) -> PathBuf {
    paths::cache().join("test-log").join(format!("{tier}.log"))
}

/// What a tier's tests print, for reading it all later.
pub(super) fn log_file(tier: &str) -> Result<File> {
    let file = log_path(tier);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(&file)
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Where in the output of a test binary we are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Place {
    /// Cargo's own messages.
    #[default]
    Cargo,
    /// `running N tests` was printed, the result lines follow.
    Results,
    /// What passed tests wrote.
    Successes,
    /// What failed tests wrote, then their names.
    Failures,
}

#[derive(Default)]
pub(super) struct Parser {
    place: Place,
    /// The heading of the binary that runs.
    binary: String,
    /// The test whose output is being read.
    section: String,
    /// The tests of this binary that printed `skipped: REASON`.
    said_skipped: Vec<(String, String)>,
    failed_names: Vec<String>,
    summary: Summary,
}

impl Parser {
    /// Takes the next line; returns what a reader should see of it.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        if let Some(heading) = heading(line) {
            self.end_binary();
            self.binary = heading;
            self.place = Place::Cargo;
            return None;
        }
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.place = Place::Results;
            return None;
        }
        if self.place == Place::Cargo {
            return (!line.trim().is_empty()).then(|| line.to_owned());
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            return self.result(result);
        }
        match line {
            "successes:" => self.place = Place::Successes,
            "failures:" => {
                self.place = Place::Failures;
                // The heading comes twice: above what the tests wrote, then above their names.
                self.failed_names.clear();
            }
            _ => {}
        }
        if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.split(" stdout").next())
        {
            self.section = name.to_owned();
        }
        match self.place {
            Place::Results if line.contains("process didn't exit successfully") => {
                return Some(line.to_owned());
            }
            Place::Results => self.ignored(line),
            Place::Successes if line.starts_with("note: ") => return Some(line.to_owned()),
            Place::Successes => self.skipped(line),
            Place::Failures => {
                // The names are indented.
                if let Some(name) = line.strip_prefix("    ").filter(|name| !name.contains(' ')) {
                    self.failed_names.push(name.to_owned());
                }
                return Some(line.to_owned());
            }
            Place::Cargo => {}
        }
        None
    }

    /// `test NAME ... ignored, REASON`
    fn ignored(&mut self, line: &str) {
        let Some((name, outcome)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return;
        };
        if let Some(reason) = outcome.strip_prefix("ignored") {
            let reason = reason.trim_start_matches(", ");
            let reason = if reason.is_empty() { "marked #[ignore]" } else { reason };
            self.summary.skipped.push((name.to_owned(), reason.to_owned()));
        }
    }

    /// A test that finds that it cannot run here prints `skipped: REASON` and returns.
    fn skipped(&mut self, line: &str) {
        let known = self.said_skipped.iter().any(|(name, _)| *name == self.section);
        if let (Some(reason), false) = (line.strip_prefix("skipped: "), known) {
            self.said_skipped.push((self.section.clone(), reason.trim().to_owned()));
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s`
    fn result(&mut self, result: &str) -> Option<String> {
        let count = |word: &str| -> usize {
            result
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse().ok())
                .unwrap_or(0)
        };
        let skipped = std::mem::take(&mut self.said_skipped);
        let passed = count(" passed").saturating_sub(skipped.len());
        let failed = count(" failed");
        let mut names = std::mem::take(&mut self.failed_names);
        // The names are listed once; should the list ever look different, no failure goes uncounted.
        names.truncate(failed);
        names.resize(failed, "a test without a name".to_owned());
        let binary = std::mem::take(&mut self.binary);
        let skips = skipped.len() + count(" ignored");
        let shown = format!("{binary}: passed {passed}, failed {failed}, skipped {skips}");
        self.summary.passed += passed;
        self.summary.failed.extend(names.into_iter().map(|name| format!("{binary}: {name}")));
        self.summary.skipped.extend(skipped);
        self.place = Place::Cargo;
        self.section.clear();
        (passed + failed + skips > 0).then_some(shown)
    }

    /// A binary that began but printed no result was killed.
    fn end_binary(&mut self) {
        if self.place != Place::Cargo {
            let binary = std::mem::take(&mut self.binary);
            self.summary.failed.push(format!("{binary}: ended without a result"));
            self.said_skipped.clear();
            self.failed_names.clear();
        }
    }

    /// `what` was run: a failure without a failed test is its failure.
    pub(super) fn finish(mut self, succeeded: bool, what: &str) -> Summary {
        self.end_binary();
        if !succeeded && self.summary.failed.is_empty() {
            self.summary.failed.push(format!("tests {what}: did not compile or did not start"));
        }
        self.summary
    }
}

/// `     Running unittests src/lib.rs (target/debug/deps/sluice_model-0123456789abcdef)`, or `   Doc-tests sluice_model`
fn heading(line: &str) -> Option<String> {
    if !line.starts_with("   ") {
        return None;
    }
    let line = line.trim_start();
    if let Some(rest) = line.strip_prefix("Running ") {
        let (file, binary) = rest.trim_end_matches(')').rsplit_once(" (")?;
        let name = binary.rsplit('/').next()?;
        let name = name.rsplit_once('-').map_or(name, |(name, _)| name);
        return Some(format!("{name} {}", file.trim_start_matches("unittests ")));
    }
    line.strip_prefix("Doc-tests ").map(|name| format!("{name} documentation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, success: bool) -> Summary {
        let mut parser = Parser::default();
        for line in text.lines() {
            parser.line(line);
        }
        parser.finish(success, "--workspace")
    }

    const MIXED: &str = "   Compiling demo v0.1.0
     Running unittests src/lib.rs (target/debug/deps/demo-0a1b)

running 4 tests
test ignored ... ignored, needs a card
test broken ... FAILED
test fine ... ok
test careful ... ok

successes:

---- careful stdout ----
skipped: needs root
skipped: needs root, said twice

successes:
    careful
    fine

failures:

---- broken stdout ----

thread 'broken' panicked at src/lib.rs:1:1:
    indented
note: run with `RUST_BACKTRACE=1`


failures:
    broken

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

error: test failed, to rerun pass `--lib`
   Doc-tests demo

running 1 test
test src/lib.rs - answer (line 3) ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.20s
";

    #[test]
    fn passed_failed_ignored_and_skipped_are_counted_apart() {
        let summary = parse(MIXED, false);
        assert_eq!(summary.passed, 2);
        assert_eq!(summary.failed, ["demo src/lib.rs: broken"]);
        let skipped = [("ignored", "needs a card"), ("careful", "needs root")];
        assert_eq!(summary.skipped, skipped.map(|(name, why)| (name.to_owned(), why.to_owned())));
    }

    #[test]
    fn notes_of_tests_that_passed_are_shown() {
        let mut parser = Parser::default();
        let text = MIXED.replace("skipped: needs root, said twice", "note: seed 7");
        let shown: Vec<String> = text.lines().filter_map(|line| parser.line(line)).collect();
        assert!(shown.contains(&"note: seed 7".to_owned()), "{shown:?}");
    }

    #[test]
    fn a_binary_that_dies_is_a_failure() {
        let died = "     Running tests/a.rs (target/debug/deps/a-01)\n\nrunning 2 tests\ntest one ... ok\n\
                    error: test failed (signal: 11, SIGSEGV)\n     Running tests/b.rs (target/debug/deps/b-02)\n\n\
                    running 1 test\ntest two ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        let summary = parse(died, false);
        assert_eq!(
            (summary.passed, summary.failed),
            (1, vec!["a tests/a.rs: ended without a result".to_owned()])
        );
    }

    #[test]
    fn code_that_does_not_compile_is_a_failure() {
        let summary = parse("error[E0425]: cannot find value `x`\n", false);
        assert_eq!(summary.failed.len(), 1);
        assert!(summary.failed[0].contains("did not compile"));
    }

    #[test]
    fn a_result_that_an_interruption_split_is_still_counted() {
        let text = "     Running tests/a.rs (target/debug/deps/a-01)\n\nrunning 1 test\ntest one ... noise of a child\n\
                    ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
        assert_eq!(parse(text, true), Summary { passed: 1, ..Summary::default() });
    }
}
