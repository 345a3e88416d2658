//! `sluice apply`, `sluice delete` and `sluice import`, and what a change did.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;
use sluice_model::{Diff, Kind, Name};

use super::CliError;
use super::args::{ApplyOptions, ApplyingOptions, ChangeOptions, Output};
use super::client::{Body, Client};
use super::output::{print, sections};
use super::plan;
use crate::wire::{Applied, PendingCommit, Warning};

pub(super) async fn apply(
    client: &Client,
    options: &ApplyOptions,
    output: Output,
) -> Result<(), CliError> {
    of_file(client, "/v1/apply", &options.file, &options.options, output).await
}

pub(super) async fn import(
    client: &Client,
    file: &Path,
    options: &ApplyingOptions,
    output: Output,
) -> Result<(), CliError> {
    of_file(client, "/v1/import", file, options, output).await
}

async fn of_file(
    client: &Client,
    path: &str,
    file: &Path,
    options: &ApplyingOptions,
    output: Output,
) -> Result<(), CliError> {
    let (name, text) = read(file)?;
    let mut path = format!("{path}?{}&file={}", query(&options.change), escaped(&name));
    if let Some(seconds) = options.confirm {
        path += &format!("&confirmSeconds={seconds}");
    }
    if let Some(message) = &options.message {
        path += &format!("&message={}", escaped(message));
    }
    let applied: Applied = client.post(&path, Body::yaml(text)).await?;
    print(&applied, output, summary)
}

pub(super) async fn delete(
    client: &Client,
    kind: Kind,
    name: &Name,
    options: &ChangeOptions,
    output: Output,
) -> Result<(), CliError> {
    let path = format!("/v1/{}/{name}?{}", kind.plural(), query(options));
    let applied: Applied = client.delete(&path).await?;
    print(&applied, output, summary)
}

fn query(options: &ChangeOptions) -> String {
    let ChangeOptions { dry_run, candidate, accept_warnings } = options;
    format!("dryRun={dry_run}&candidate={candidate}&acceptWarnings={accept_warnings}")
}

/// A file's name for messages, and its text; `-` is the standard input.
pub(super) fn read(file: &Path) -> Result<(String, String), CliError> {
    let failed = |error| CliError::File { path: file.to_owned(), error };
    if file.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(failed)?;
        return Ok(("stdin".to_owned(), text));
    }
    Ok((file.display().to_string(), fs::read_to_string(file).map_err(failed)?))
}

/// RFC 3986, section 2.1: everything but unreserved characters.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

pub(super) fn summary(applied: &Applied) -> String {
    let Applied { revision, dry_run, candidate, .. } = applied;
    let done = match (*candidate, *dry_run, &applied.pending) {
        (true, true, _) => "nothing was changed, not even your candidate".to_owned(),
        (true, false, _) => "in your candidate; `sluice commit` makes it take effect".to_owned(),
        (false, true, _) => format!("this would be revision {revision}; nothing was changed"),
        (false, false, None) => format!("revision {revision}"),
        (false, false, Some(pending)) => format!("revision {revision}\n{}", waits(pending)),
    };
    sections([
        format!("{}\n{done}", changes(&applied.diff)),
        warnings(&applied.warnings),
        applied.plan.as_ref().map(plan::table).unwrap_or_default(),
    ])
}

/// What becomes of a commit that waits to be confirmed.
pub(super) fn waits(pending: &PendingCommit) -> String {
    let PendingCommit { revision, returns_to, seconds_left, .. } = pending;
    format!(
        "revision {returns_to} returns in {seconds_left} s unless revision {revision} is confirmed: `sluice confirm`"
    )
}

pub(super) fn warnings(warnings: &[Warning]) -> String {
    let line = |warning: &Warning| {
        format!("warning: {}: {}: {}", warning.object, warning.field, warning.message)
    };
    warnings.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn changes(diff: &Diff) -> String {
    let mut lines: Vec<_> = diff.added.iter().map(|id| format!("{id} created")).collect();
    for change in &diff.changed {
        lines.push(format!("{} changed", change.object));
        lines.extend(change.fields.iter().map(|field| {
            format!(
                "  {}: {} -> {}",
                field.field,
                shown(field.before.as_ref()),
                shown(field.after.as_ref())
            )
        }));
    }
    lines.extend(diff.removed.iter().map(|id| format!("{id} removed")));
    if lines.is_empty() {
        lines.push("nothing changes".to_owned());
    }
    lines.join("\n")
}

pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_survive_the_address() {
        assert_eq!(escaped("/etc/a b&c=ü.yaml"), "%2Fetc%2Fa%20b%26c%3D%C3%BC.yaml");
    }
}
