//! Printing: tables for people, JSON and YAML for programs.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use jiff::{Timestamp, Unit};
use serde::Serialize;
use sluice_model::status::{Condition, ConditionStatus};

use super::CliError;
use super::args::Output;

/// Prints a value as JSON or YAML, or leaves it to `table`.
pub(super) fn print<T: Serialize>(
    value: &T,
    output: Output,
    table: impl FnOnce(&T) -> String,
) -> Result<(), CliError> {
    let text = match output {
        Output::Table => table(value),
        Output::Json => json(value)?,
        Output::Yaml => yaml(value)?,
    };
    write(&text)
}

/// Prints text with one newline behind it.
pub(super) fn write(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

pub(super) fn json(value: &impl Serialize) -> Result<String, CliError> {
    serde_json::to_string_pretty(value).map_err(|error| CliError::Argument(error.to_string()))
}

pub(super) fn yaml(value: &impl Serialize) -> Result<String, CliError> {
    serde_saphyr::to_string(value).map_err(|error| CliError::Argument(error.to_string()))
}

/// A table without lines, as wide as it needs to be.
pub(super) fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    let last = table.column_iter_mut().count().saturating_sub(1);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == last { 0 } else { 2 }));
    }
    table
}

/// A table's text without blanks at line ends.
pub(super) fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// How long ago, in the two largest units.
pub(super) fn age(since: Timestamp) -> String {
    let seconds =
        Timestamp::now().since((Unit::Second, since)).map_or(0, |span| span.get_seconds()).max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m{}s", seconds % 60),
        (0, _, _) => format!("{hours}h{minutes}m"),
        _ => format!("{days}d{hours}h"),
    }
}

/// A number with a unit prefix: `1.2M`.
pub(super) fn short(number: f64) -> String {
    let units = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
    match units.iter().find(|(size, _)| number >= *size) {
        Some((size, unit)) => format!("{:.1}{unit}", number / size),
        None => format!("{number:.0}"),
    }
}

/// The conditions that are worth a line: all, the bad ones marked.
pub(super) fn conditions(conditions: &[Condition]) -> String {
    if conditions.is_empty() {
        return String::new();
    }
    let mut table = table(["CONDITION", "STATUS", "REASON", "AGE", "MESSAGE"]);
    for condition in conditions {
        let status = match condition.status {
            ConditionStatus::True => "true",
            ConditionStatus::False => "false",
            ConditionStatus::Unknown => "unknown",
        };
        table.add_row([
            &condition.kind,
            status,
            &condition.reason,
            &age(condition.since),
            &condition.message,
        ]);
    }
    text(&table)
}

/// Joins the parts that are not empty by empty lines.
pub(super) fn sections(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([0.0, 999.0, 1000.0, 1_234_567.0].map(short), ["0", "999", "1.0k", "1.2M"]);
    }

    #[test]
    fn ages_have_two_units() {
        let ago = |seconds| age(Timestamp::now() - jiff::SignedDuration::from_secs(seconds));
        assert_eq!([5, 65, 3720, 90_000].map(ago), ["5s", "1m5s", "1h2m", "1d1h"]);
    }

    #[test]
    fn tables_have_no_blanks_at_line_ends() {
        let mut table = table(["NAME", "STATE"]);
        table.add_row(["web", "up"]).add_row(["a-long-name", ""]);
        assert_eq!(text(&table), "NAME         STATE\nweb          up\na-long-name");
    }
}
