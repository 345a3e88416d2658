//! `sluice edit`: an object in an editor.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use sluice_model::{Kind, Name, ObjectId};

use super::CliError;
use super::apply::summary;
use super::args::Output;
use super::client::{Body, Client};
use super::output::{print, write, yaml};
use crate::wire::{Applied, Candidate};

/// The object as it is in the editor's candidate or in force is opened; what is saved goes into the candidate.
pub(super) async fn edit(
    client: &Client,
    kind: Kind,
    name: &Name,
    output: Output,
) -> Result<(), CliError> {
    let before = current(client, kind, name).await?;
    let path = env::temp_dir().join(format!(
        "sluice-{}-{name}-{}.yaml",
        kind.singular(),
        std::process::id()
    ));
    let failed = |error| CliError::File { path: path.clone(), error };
    fs::write(&path, &before).map_err(failed)?;
    open(&path)?;
    let after = fs::read_to_string(&path).map_err(failed)?;
    if after == before {
        fs::remove_file(&path).map_err(failed)?;
        return write("nothing was changed");
    }
    match client.post::<Applied>("/v1/apply?candidate=true&file=edited", Body::yaml(after)).await {
        Ok(applied) => {
            fs::remove_file(&path).map_err(failed)?;
            print(&applied, output, summary)
        }
        Err(error) => {
            eprintln!("what you wrote is kept in {}", path.display());
            Err(error)
        }
    }
}

async fn current(client: &Client, kind: Kind, name: &Name) -> Result<String, CliError> {
    let id = ObjectId { kind, name: name.clone() };
    let candidate: Candidate = client.get("/v1/candidate").await?;
    if let Some(edit) = candidate.edits.into_iter().find(|edit| edit.object == id) {
        return match edit.to_be {
            Some(object) => yaml(&object),
            None => Err(CliError::Argument(format!(
                "your candidate removes {id}: `sluice discard` forgets that"
            ))),
        };
    }
    let mut object: serde_json::Value =
        client.get(&format!("/v1/{}/{name}", kind.plural())).await?;
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    yaml(&object)
}

fn open(path: &PathBuf) -> Result<(), CliError> {
    let editor = ["VISUAL", "EDITOR"].into_iter().find_map(|name| env::var(name).ok());
    let editor = editor.filter(|editor| !editor.trim().is_empty()).unwrap_or("vi".to_owned());
    // As the shell would: an editor may come with arguments.
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or("vi"));
    let failed = |error: &dyn std::fmt::Display| {
        CliError::Argument(format!(
            "the editor {editor}: {error}; $VISUAL or $EDITOR names another"
        ))
    };
    let status = command.args(words).arg(path).status().map_err(|error| failed(&error))?;
    if status.success() { Ok(()) } else { Err(failed(&status)) }
}
