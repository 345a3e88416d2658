//! `sluice plan`.

use super::CliError;
use super::args::Output;
use super::client::Client;
use super::output::{print, sections, text};
use crate::wire::Plan;

pub(super) async fn plan(client: &Client, output: Output) -> Result<(), CliError> {
    print(&client.get::<Plan>("/v1/plan").await?, output, table)
}

/// Where everything runs, and what is still to be done.
pub(super) fn table(plan: &Plan) -> String {
    let mut stages = super::output::table(["LINK", "STAGE", "PLACEMENT", "REASON"]);
    for link in &plan.links {
        for stage in &link.stages {
            let placement =
                stage.placement.map_or("none".to_owned(), |placement| placement.to_string());
            stages.add_row([
                link.link.to_string(),
                stage.stage.clone(),
                placement,
                stage.reason.clone(),
            ]);
        }
    }
    let mut tables = super::output::table(["TABLE", "ENTRIES"]);
    for size in plan.tables.iter().filter(|size| size.entries > 1) {
        tables.add_row([size.table.clone(), size.entries.to_string()]);
    }
    sections([
        if plan.links.is_empty() { "no links".to_owned() } else { text(&stages) },
        if plan.tables.is_empty() { String::new() } else { text(&tables) },
        if plan.actions.is_empty() {
            String::new()
        } else {
            format!("To be done:\n{}", plan.actions.join("\n"))
        },
    ])
}
