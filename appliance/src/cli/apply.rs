//! `sluice apply` and `sluice delete`.

use std::fs;
use std::io::{self, Read};

use serde_json::Value;
use sluice_model::{Kind, Name};

use super::CliError;
use super::args::{ApplyOptions, Output};
use super::client::{Body, Client};
use super::output::{print, sections};
use super::plan;
use crate::wire::Applied;

pub(super) async fn apply(
    client: &Client,
    options: &ApplyOptions,
    output: Output,
) -> Result<(), CliError> {
    let (name, text) = if options.file.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| CliError::File { path: "-".into(), error })?;
        ("stdin".to_owned(), text)
    } else {
        let text = fs::read_to_string(&options.file)
            .map_err(|error| CliError::File { path: options.file.clone(), error })?;
        (options.file.display().to_string(), text)
    };
    let path = format!("/v1/apply?dryRun={}&file={}", options.dry_run, escaped(&name));
    let applied: Applied = client.post(&path, Body::yaml(text)).await?;
    print(&applied, output, summary)
}

pub(super) async fn delete(
    client: &Client,
    kind: Kind,
    name: &Name,
    dry_run: bool,
    output: Output,
) -> Result<(), CliError> {
    let path = format!("/v1/{}/{name}?dryRun={dry_run}", kind.plural());
    let applied: Applied = client.delete(&path).await?;
    print(&applied, output, summary)
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

fn summary(applied: &Applied) -> String {
    let diff = &applied.diff;
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
    lines.push(match applied.dry_run {
        true => format!("this would be revision {}; nothing was changed", applied.revision),
        false => format!("revision {}", applied.revision),
    });
    sections([lines.join("\n"), applied.plan.as_ref().map(plan::table).unwrap_or_default()])
}

fn shown(value: Option<&Value>) -> String {
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
