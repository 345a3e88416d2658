//! `sluice diff`, `validate`, `commit`, `discard` and `candidates`: what editors prepare.

use super::CliError;
use super::apply::{changes, shown, summary, warnings};
use super::args::{CommitOptions, Output};
use super::client::{Body, Client};
use super::output::{age, print, sections, table, text};
use crate::wire::{
    Applied, Candidate, CandidateDiff, CandidateList, CommitRequest, Conflict, EditAction,
    Validation,
};

pub(super) async fn diff(client: &Client, output: Output) -> Result<(), CliError> {
    let diff: CandidateDiff = client.get("/v1/candidate/diff").await?;
    print(&diff, output, |diff| {
        sections([changes(&diff.diff), conflicts(&diff.conflicts), warnings(&diff.warnings)])
    })
}

/// An error if it could not be committed: scripts look at the exit code.
pub(super) async fn validate(client: &Client, output: Output) -> Result<(), CliError> {
    let validation: Validation =
        client.post("/v1/candidate/validate", Body::json(&serde_json::json!({}))?).await?;
    print(&validation, output, |validation| {
        let problems: Vec<_> = validation.problems.iter().map(|one| one.text.clone()).collect();
        let verdict = match validation.valid {
            true => "valid: `sluice commit` makes it take effect",
            false => "",
        };
        sections([
            problems.join("\n"),
            conflicts(&validation.conflicts),
            warnings(&validation.warnings),
            verdict.to_owned(),
        ])
    })?;
    if validation.valid { Ok(()) } else { Err(CliError::NotValid) }
}

pub(super) async fn commit(
    client: &Client,
    options: &CommitOptions,
    output: Output,
) -> Result<(), CliError> {
    if options.wait.dry_run {
        let diff: CandidateDiff = client.get("/v1/candidate/diff").await?;
        let plan = Some(client.get("/v1/candidate/plan").await?);
        let CandidateDiff { revision, diff, warnings, .. } = diff;
        let revision = revision + u64::from(!diff.is_empty());
        let applied =
            Applied { revision, dry_run: true, diff, warnings, plan, ..Applied::default() };
        return print(&applied, output, summary);
    }
    let body = Body::json(&request(options))?;
    let applied: Applied = client.post("/v1/candidate/commit", body).await?;
    print(&applied, output, summary)
}

/// How something takes effect, as the API takes it.
pub(super) fn request(options: &CommitOptions) -> CommitRequest {
    CommitRequest {
        message: options.message.clone(),
        confirm_seconds: options.wait.confirm,
        accept_warnings: options.wait.accept_warnings,
    }
}

pub(super) async fn discard(client: &Client, output: Output) -> Result<(), CliError> {
    let discarded: Candidate = client.delete("/v1/candidate").await?;
    print(&discarded, output, |candidate| match candidate.edits.len() {
        0 => "there was nothing in it".to_owned(),
        _ => format!("{}\nthrown away; nothing was changed", edits(candidate)),
    })
}

pub(super) async fn candidates(client: &Client, output: Output) -> Result<(), CliError> {
    let list: CandidateList = client.get("/v1/candidates").await?;
    print(&list, output, |list| {
        if list.items.is_empty() {
            return "nobody prepares anything".to_owned();
        }
        let mut rows = table(["EDITOR", "BEGUN AT", "SINCE", "OBJECTS", "CONFLICTS"]);
        for item in &list.items {
            rows.add_row([
                item.editor.clone(),
                format!("revision {}", item.base),
                item.since.map(age).unwrap_or_default(),
                item.edits.len().to_string(),
                item.conflicts.len().to_string(),
            ]);
        }
        let details = list.items.iter().map(|item| {
            format!("{}:\n{}\n{}", item.editor, edits(item), conflicts(&item.conflicts))
                .trim_end()
                .to_owned()
        });
        sections([text(&rows)].into_iter().chain(details))
    })
}

fn edits(candidate: &Candidate) -> String {
    let line = |edit: &crate::wire::CandidateEdit| {
        let action = match edit.action {
            EditAction::Add => "created",
            EditAction::Change => "changed",
            EditAction::Remove => "removed",
        };
        format!("{} {action}", edit.object)
    };
    candidate.edits.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn conflicts(conflicts: &[Conflict]) -> String {
    let line = |conflict: &Conflict| {
        let Conflict { object, field, with, base, mine, theirs } = conflict;
        let field = if field.is_empty() { String::new() } else { format!(" {field}:") };
        let who = if with == "running" { "what is in force" } else { with };
        format!(
            "conflict: {object}:{field} {} here, {} in {who}; it was {}",
            shown(mine.as_ref()),
            shown(theirs.as_ref()),
            shown(base.as_ref())
        )
    };
    conflicts.iter().map(line).collect::<Vec<_>>().join("\n")
}
