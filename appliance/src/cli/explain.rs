//! `sluice explain`.

use sluice_model::status::{NotChosen, StageStatus};
use sluice_model::{LinkName, Stage};

use super::CliError;
use super::args::{Output, PlanOptions};
use super::client::Client;
use super::output::{print, sections};
use super::plan::ask;
use crate::wire::{LinkPlan, Plan};

pub(super) async fn explain(
    client: &Client,
    stage: Stage,
    link: Option<&LinkName>,
    options: &PlanOptions,
    output: Output,
) -> Result<(), CliError> {
    let Plan { links, .. } = ask(client, options).await?;
    let is_asked = |plan: &LinkPlan| link.is_none_or(|link| *link == plan.link);
    let links: Vec<LinkPlan> = links
        .into_iter()
        .filter(is_asked)
        .map(|mut plan| {
            plan.stages.retain(|status| status.stage == stage.as_str());
            plan
        })
        .collect();
    if let (true, Some(link)) = (links.is_empty(), link) {
        let message = format!("{link} is no link of the gateway: see `sluice describe gateway`");
        return Err(CliError::Argument(message));
    }
    print(&links, output, |links| {
        let each = links
            .iter()
            .flat_map(|link| link.stages.iter().map(|stage| explained(link.link.as_str(), stage)));
        sections(each.collect::<Vec<_>>())
    })
}

/// One stage on one link, as text.
fn explained(link: &str, status: &StageStatus) -> String {
    let place = status.placement.map_or("nowhere".to_owned(), |place| place.to_string());
    let mut lines = vec![format!("{} on {link}: {place}", status.stage)];
    lines.push(format!("  because: {}", status.reason));
    if let Some(behind) = status.behind {
        lines.push(format!("  what it leaves goes on to {behind}"));
    }
    if let Some(requested) = status.requested.filter(|wanted| Some(*wanted) != status.placement) {
        lines.push(format!("  the plan wants it in {requested}"));
    }
    for share in &status.holds {
        lines.push(format!("  {}: {} of {} are there", share.what, share.held, share.of));
        for left in &share.left_out {
            let examples = left.examples.join(", ");
            lines.push(format!("    not {} ({examples}): {}", left.entries, left.reason));
        }
    }
    for NotChosen { placement, reason, evidence, change } in &status.not_chosen {
        lines.push(format!("  not {placement}: {reason}"));
        let more = [("known by", evidence), ("would change it", change)];
        let more = more.into_iter().filter_map(|(word, text)| Some((word, text.as_ref()?)));
        lines.extend(more.map(|(word, text)| format!("    {word}: {text}")));
    }
    lines.join("\n")
}
