//! `sluice history`, `rollback` and `confirm`: what was, and the way back.

use super::CliError;
use super::apply::{changes, summary, waits};
use super::args::{CommitOptions, Output};
use super::candidate::request;
use super::client::{Body, Client};
use super::output::{print, sections, table, text};
use crate::wire::{
    Applied, Confirmation, ConfirmationState, Revision, RevisionDetail, RevisionList,
};

/// The most that the API gives at once.
const PAGE: usize = 100;

pub(super) async fn list(client: &Client, limit: usize, output: Output) -> Result<(), CliError> {
    let page = |before: Option<u64>, limit: usize| {
        let before = before.map_or(String::new(), |before| format!("&before={before}"));
        format!("/v1/revisions?limit={limit}{before}")
    };
    let mut history: RevisionList = client.get(&page(None, limit.clamp(1, PAGE))).await?;
    while let (Some(before), true) = (history.next, history.items.len() < limit) {
        let missing = (limit - history.items.len()).min(PAGE);
        let more: RevisionList = client.get(&page(Some(before), missing)).await?;
        history.items.extend(more.items);
        history.next = more.next;
    }
    print(&history, output, |history| {
        if history.items.is_empty() {
            return "no revision yet".to_owned();
        }
        let mut rows =
            table(["REVISION", "TIME", "AUTHOR", "FROM", "BY", "+", "~", "-", "WHAT FOR"]);
        for item in &history.items {
            rows.add_row([
                item.revision.to_string(),
                item.time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
                item.author.clone(),
                item.source.clone(),
                item.origin.as_str().to_owned(),
                item.added.to_string(),
                item.changed.to_string(),
                item.removed.to_string(),
                what_for(item),
            ]);
        }
        text(&rows)
    })
}

pub(super) async fn one(client: &Client, revision: u64, output: Output) -> Result<(), CliError> {
    let detail: RevisionDetail = client.get(&format!("/v1/revisions/{revision}")).await?;
    print(&detail, output, |detail| {
        let Revision { revision, time, author, source, origin, .. } = &detail.revision;
        let head =
            format!("revision {revision}, {time}, by {author} from {source} ({})", origin.as_str());
        let what_for = what_for(&detail.revision);
        sections([format!("{head}\n{what_for}").trim_end().to_owned(), changes(&detail.diff)])
    })
}

/// The message and what became of it, in one line.
fn what_for(revision: &Revision) -> String {
    let mut parts: Vec<String> = revision.message.iter().cloned().collect();
    parts.extend(revision.same_as.map(|earlier| format!("same as {earlier}")));
    parts.extend(revision.confirmation.map(|state| {
        let state = match state {
            ConfirmationState::Pending => "waits to be confirmed",
            ConfirmationState::Confirmed => "confirmed",
            ConfirmationState::Returned => "not confirmed",
        };
        state.to_owned()
    }));
    parts.join("; ")
}

pub(super) async fn rollback(
    client: &Client,
    revision: u64,
    options: &CommitOptions,
    output: Output,
) -> Result<(), CliError> {
    let path = format!("/v1/revisions/{revision}/rollback?dryRun={}", options.wait.dry_run);
    let applied: Applied = client.post(&path, Body::json(&request(options))?).await?;
    print(&applied, output, summary)
}

pub(super) async fn confirm(client: &Client, output: Output) -> Result<(), CliError> {
    let confirmed: Revision =
        client.post("/v1/confirmation", Body::json(&serde_json::json!({}))?).await?;
    print(&confirmed, output, |confirmed| format!("revision {} is confirmed", confirmed.revision))
}

pub(super) async fn return_now(client: &Client, output: Output) -> Result<(), CliError> {
    let applied: Applied = client.delete("/v1/confirmation").await?;
    print(&applied, output, summary)
}

pub(super) async fn pending(client: &Client, output: Output) -> Result<(), CliError> {
    let confirmation: Confirmation = client.get("/v1/confirmation").await?;
    print(&confirmation, output, |confirmation| match &confirmation.pending {
        None => "no commit waits to be confirmed".to_owned(),
        Some(pending) => format!("{}\ncommitted by {}", waits(pending), pending.author),
    })
}
