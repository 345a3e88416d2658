//! `sluice plan`.

use std::path::Path;

use sluice_model::LinkName;
use sluice_profile::{Profile, shipped};

use super::CliError;
use super::args::{Output, PlanOptions};
use super::client::{Body, Client};
use super::output::{print, sections, text};
use crate::wire::{CardView, Plan, ProbeAnswer, Supposition};

pub(super) async fn plan(
    client: &Client,
    options: &PlanOptions,
    output: Output,
) -> Result<(), CliError> {
    print(&ask(client, options).await?, output, table)
}

pub(super) async fn probe(
    client: &Client,
    link: &LinkName,
    output: Output,
) -> Result<(), CliError> {
    let path = format!("/v1/links/{link}/probe");
    let answer: ProbeAnswer = client.post(&path, Body::json(&())?).await?;
    print(&answer, output, |answer| format!("{}\n", answer.message))
}

/// The plan of the daemon, or of the same configuration with other cards.
pub(super) async fn ask(client: &Client, options: &PlanOptions) -> Result<Plan, CliError> {
    if options.candidate {
        return client.get("/v1/candidate/plan").await;
    }
    let Some(path) = &options.profile else { return client.get("/v1/plan").await };
    let supposed = Supposition { link: options.of_link.clone(), profile: profile(path)? };
    client.post("/v1/plan", Body::json(&supposed)?).await
}

/// A profile from a file, or one that comes with Sluice.
fn profile(path: &Path) -> Result<Profile, CliError> {
    let wrong = |error: &dyn std::fmt::Display| {
        let shipped = shipped::names().collect::<Vec<_>>().join(", ");
        let path = path.display();
        CliError::Argument(format!("--profile {path}: {error}; these come with Sluice: {shipped}"))
    };
    let name = path.to_str().unwrap_or_default();
    if let (false, Some(shipped)) = (path.exists(), shipped::profile(name)) {
        return shipped.map_err(|error| wrong(&error));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    Profile::from_json(&text).map_err(|error| wrong(&error))
}

/// Where everything runs, and what is still to be done.
pub(super) fn table(plan: &Plan) -> String {
    let mut stages = super::output::table(["LINK", "STAGE", "PLACEMENT", "BEHIND", "REASON"]);
    let mut others = super::output::table(["LINK", "STAGE", "NOT IN", "BECAUSE"]);
    let mut any_other = false;
    for link in &plan.links {
        for stage in &link.stages {
            let placement =
                stage.placement.map_or("none".to_owned(), |placement| placement.to_string());
            stages.add_row([
                link.link.to_string(),
                stage.stage.clone(),
                placement,
                stage.behind.map_or(String::new(), |behind| behind.to_string()),
                stage.reason.clone(),
            ]);
            // The host's other place is `sluice explain`'s matter: nobody expects the stage there.
            for other in stage.not_chosen.iter().filter(|other| other.placement.is_on_card()) {
                any_other = true;
                others.add_row([
                    link.link.to_string(),
                    stage.stage.clone(),
                    other.placement.to_string(),
                    other.reason.clone(),
                ]);
            }
        }
    }
    let mut tables = super::output::table(["TABLE", "ENTRIES"]);
    for size in plan.tables.iter().filter(|size| size.entries > 1) {
        tables.add_row([size.table.clone(), size.entries.to_string()]);
    }
    sections([
        if plan.links.is_empty() { "no links".to_owned() } else { text(&stages) },
        if any_other { text(&others) } else { String::new() },
        if plan.refused.is_empty() {
            String::new()
        } else {
            format!("Required and not possible:\n{}", plan.refused.join("\n"))
        },
        if plan.cards.is_empty() { String::new() } else { cards(&plan.cards) },
        if plan.tables.is_empty() { String::new() } else { text(&tables) },
        if plan.actions.is_empty() {
            String::new()
        } else {
            format!("To be done:\n{}", plan.actions.join("\n"))
        },
    ])
}

/// What the cards shall run and what is still to be written to them.
fn cards(cards: &[CardView]) -> String {
    let of = |card: &CardView| {
        let program = card.program.as_deref().unwrap_or("nothing");
        let mut lines = vec![format!("Card of {}: {program}", card.link)];
        if !card.tables.is_empty() {
            lines.push(format!("  {}", card.tables.join(", ")));
        }
        lines.extend(card.actions.iter().map(|action| format!("  to do: {action}")));
        lines.join("\n")
    };
    cards.iter().map(of).collect::<Vec<_>>().join("\n")
}
