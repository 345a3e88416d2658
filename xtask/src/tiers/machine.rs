//! The tier `vm`: test binaries that are compiled here and run in the virtual machine.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Tier;
use super::libtest::{Parser, log_file};
use super::selection::Selection;
use super::summary::Summary;
use crate::run;
use crate::vm::{GuestOptions, Machine};

const TIER: &str = "vm";

/// Runs the tests in the guest, those that contain `filter` if there is one.
///
/// # Errors
/// When there can be no guest here, which says nothing about the tests. What goes wrong later is a failure in the summary.
pub(super) fn run(
    selection: &Selection,
    guest: GuestOptions,
    long: bool,
    filter: Option<&str>,
) -> Result<Summary> {
    let runs = selection.of(Tier::Vm);
    let mut summary = Summary::default();
    if runs.is_empty() {
        return Ok(summary);
    }
    let machine = Machine::prepare(guest)?;
    for arguments in runs {
        match run_binaries(&machine, &arguments, long, filter) {
            Ok(part) => summary.add(part),
            Err(error) => summary.failed.push(format!("{TIER}: {error:#}")),
        }
    }
    Ok(summary)
}

fn run_binaries(
    machine: &Machine,
    arguments: &[String],
    long: bool,
    filter: Option<&str>,
) -> Result<Summary> {
    let binaries = compile(arguments)?;
    let script = script(&binaries, long, filter);
    let mut log = log_file(TIER)?;
    let mut parser = Parser::default();
    let mut unwritten = Ok(());
    let ended = machine.run(&script, |line| {
        unwritten = writeln!(log, "{line}");
        if let Some(shown) = parser.line(line) {
            println!("{shown}");
        }
    });
    unwritten.context("cannot write the log of the tier")?;
    let mut summary = parser.finish(matches!(ended, Ok(0)), "in the virtual machine");
    if let Err(error) = ended {
        summary.failed.push(format!("{TIER}: {error:#}"));
    }
    Ok(summary)
}

/// Compiles the test targets and returns their binaries.
fn compile(arguments: &[String]) -> Result<Vec<PathBuf>> {
    let mut cargo = run::cargo();
    cargo.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(arguments);
    println!("$ {}", run::shown(&cargo));
    let output =
        cargo.stderr(std::process::Stdio::inherit()).output().context("cannot start cargo")?;
    let binaries = executables(&String::from_utf8_lossy(&output.stdout));
    anyhow::ensure!(output.status.success() && !binaries.is_empty(), "the tests do not compile");
    Ok(binaries)
}

/// The integration tests among what cargo says that it made.
fn executables(messages: &str) -> Vec<PathBuf> {
    let is_test = |message: &Value| {
        message["target"]["kind"]
            .as_array()
            .is_some_and(|kinds| kinds.iter().any(|kind| kind == "test"))
    };
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(is_test)
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect()
}

/// Runs one binary after the other, under the headings that cargo prints. In the guest nothing is done side by side: there is
/// one bus of simulated devices, and often one processor.
fn script(binaries: &[PathBuf], long: bool, filter: Option<&str>) -> String {
    let mut script = "export SLUICE_VM=1\n".to_owned();
    if long {
        script += "export SLUICE_LONG=1\n";
    }
    script += "status=0\n";
    for binary in binaries {
        let heading = format!("     Running {} ({})", name(binary), binary.display());
        // The name of a binary stands for all of its tests.
        let filter = filter.filter(|filter| !name(binary).contains(filter));
        let filter = filter.map(|filter| format!(" '{}'", quoted(filter))).unwrap_or_default();
        let _ = writeln!(script, "echo '{}'", quoted(&heading));
        let _ = writeln!(
            script,
            "'{}' --test-threads=1 --show-output{filter} 2>&1 || status=1",
            quoted(&binary.display().to_string())
        );
    }
    script + "exit $status\n"
}

/// The name of a binary without the hash that cargo adds.
fn name(binary: &Path) -> String {
    let file =
        binary.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    file.rsplit_once('-').map_or(file.clone(), |(name, _)| name.to_owned())
}

/// Within single quotes of a shell.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: &str = r#"{"reason":"compiler-artifact","target":{"kind":["lib"]},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"]},"executable":"/t/debug/deps/vm_card-0a1b"}
{"reason":"build-finished","success":true}
"#;

    #[test]
    fn test_binaries_run_under_the_headings_of_cargo() {
        let binaries = executables(MESSAGES);
        assert_eq!(binaries, [PathBuf::from("/t/debug/deps/vm_card-0a1b")]);
        let script = script(&binaries, false, Some("it's"));
        assert!(
            script.contains("echo '     Running vm_card (/t/debug/deps/vm_card-0a1b)'\n"),
            "{script}"
        );
        assert!(script.contains(r"--show-output 'it'\''s' 2>&1 || status=1"), "{script}");
        assert!(!script.contains("SLUICE_LONG"));
        let whole = self::script(&binaries, true, Some("card"));
        assert!(whole.contains("--show-output 2>&1") && whole.contains("SLUICE_LONG"), "{whole}");
    }
}
