//! Tables for people.

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};
use sluice_profile::{Difference, Line, Origin, Profile};

/// A profile: where it comes from, and its lines.
pub(super) fn profile(profile: &Profile, evidence: bool) -> String {
    let mut table = table(["WHAT", "ANSWER", "BECAUSE"]);
    for line in profile.lines() {
        let mut because: Vec<_> = line.evidence.iter().map(ToString::to_string).collect();
        if !evidence {
            because.truncate(1);
        }
        let first = if because.is_empty() { String::new() } else { because.remove(0) };
        table.add_row([&line.name, &line.answer, &first]);
        for other in because {
            table.add_row(["", "", &other]);
        }
        if let Some(remedy) = &line.remedy {
            let remedy = remedy.replace("LINK", &profile.identity.link);
            table.add_row(["", "", &format!("to change it: {remedy}")]);
        }
    }
    format!("{}: {}\n\n{}", profile.name, origin(&profile.origin), text(&table))
}

/// Where a profile comes from, in one line.
pub(super) fn origin(origin: &Origin) -> String {
    match origin {
        Origin::Probed { at, kernel, version, disruptive } => {
            let how = if *disruptive { ", disruptively" } else { "" };
            format!("probed {at} on Linux {kernel} by hwprobe {version}{how}")
        }
        Origin::Derived { kernel, note } => format!("derived from Linux {kernel}: {note}"),
        Origin::NotRecorded { note } => note.clone(),
    }
}

/// What two profiles answer differently.
pub(super) fn differences(first: &Profile, second: &Profile, all: &[Difference]) -> String {
    if all.is_empty() {
        return format!("{} and {} answer the same", first.name, second.name);
    }
    let mut table = table(["WHAT", &first.name, &second.name]);
    let answer = |line: &Option<Line>| {
        line.as_ref().map_or_else(|| "not asked".to_owned(), |line| line.answer.clone())
    };
    for difference in all {
        table.add_row([&difference.name, &answer(&difference.first), &answer(&difference.second)]);
    }
    text(&table)
}

/// A table without lines, as wide as it needs to be.
fn table(head: [&str; 3]) -> Table {
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(head);
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if index == 2 { 0 } else { 2 }));
    }
    table
}

/// A table's text without blanks at line ends.
fn text(table: &Table) -> String {
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
