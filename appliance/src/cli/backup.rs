//! `sluice backup`, `restore` and `export`: the configuration taken out and brought back.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::CliError;
use super::apply::{read, summary};
use super::args::{Output, PassphraseOptions, WaitOptions};
use super::client::{Body, Client};
use super::output::{json, print, write};
use crate::wire::{Applied, Backup, BackupRequest, Passphrase, RestoreRequest};

pub(super) async fn backup(
    client: &Client,
    file: &Path,
    options: &PassphraseOptions,
) -> Result<(), CliError> {
    let passphrase = passphrase(options)?;
    let made: Backup =
        client.post("/v1/backup", Body::json(&BackupRequest { passphrase })?).await?;
    // A backup that is there is worth more than one that is half written over it.
    let failed = |error| CliError::File { path: file.to_owned(), error };
    let mut new =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(failed)?;
    let text = json(&made)? + "\n";
    new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
    write(&format!("revision {} with users, tokens and keys in {}", made.revision, file.display()))
}

pub(super) async fn restore(
    client: &Client,
    file: &Path,
    passphrase_options: &PassphraseOptions,
    keep_users: bool,
    options: &WaitOptions,
    output: Output,
) -> Result<(), CliError> {
    let text = fs::read_to_string(file)
        .map_err(|error| CliError::File { path: file.to_owned(), error })?;
    let backup: Backup = serde_json::from_str(&text).map_err(|error| {
        let file = file.display();
        CliError::Argument(format!(
            "{file}: is not a backup, or damaged: {error}; nothing was changed"
        ))
    })?;
    let request = RestoreRequest {
        backup,
        passphrase: passphrase(passphrase_options)?,
        keep_users,
        dry_run: options.dry_run,
        confirm_seconds: options.confirm,
        accept_warnings: options.accept_warnings,
    };
    let applied: Applied = client.post("/v1/restore", Body::json(&request)?).await?;
    print(&applied, output, summary)
}

fn passphrase(options: &PassphraseOptions) -> Result<Passphrase, CliError> {
    let (_, text) = read(&options.passphrase_file)?;
    Ok(Passphrase::new(text.lines().next().unwrap_or_default()))
}

pub(super) async fn export(client: &Client, candidate: bool) -> Result<(), CliError> {
    write(&client.text(&format!("/v1/export?candidate={candidate}")).await?)
}
