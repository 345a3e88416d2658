//! The command `sluice`: everything that the API has, from a terminal.

mod access;
mod apply;
mod args;
mod backup;
mod candidate;
mod client;
mod describe;
mod edit;
mod error;
mod events;
mod explain;
mod generate;
mod get;
mod history;
mod output;
mod plan;
mod sse;
mod ssh;
mod status;
mod tls;
mod top;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, AuditCommand, Command};
use client::Client;
pub use error::CliError;

/// Runs the command; the exit code is 0, 1 after an error, 2 after a wrong command line.
pub async fn main<I, T>(arguments: I) -> ExitCode
where
    I: IntoIterator<Item = T>,
    T: Into<OsString> + Clone,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { connection, output, command } = arguments;
    match command {
        Command::Completions { shell } => return generate::completions(shell),
        Command::Man { directory } => return generate::man(&directory),
        _ => {}
    }
    let client = Client::new(&connection)?;
    match command {
        Command::Apply(options) => apply::apply(&client, &options, output).await,
        Command::Get { kind, name } => get::get(&client, kind, name.as_ref(), output).await,
        Command::Describe { kind, name } => describe::describe(&client, kind, &name, output).await,
        Command::Delete { kind, name, options } => {
            apply::delete(&client, kind, &name, &options, output).await
        }
        Command::Edit { kind, name } => edit::edit(&client, kind, &name, output).await,
        Command::Diff => candidate::diff(&client, output).await,
        Command::Validate => candidate::validate(&client, output).await,
        Command::Commit(options) => candidate::commit(&client, &options, output).await,
        Command::Discard => candidate::discard(&client, output).await,
        Command::Candidates => candidate::candidates(&client, output).await,
        Command::Confirm { return_now: true, .. } => history::return_now(&client, output).await,
        Command::Confirm { show: true, .. } => history::pending(&client, output).await,
        Command::Confirm { .. } => history::confirm(&client, output).await,
        Command::Rollback { revision, options } => {
            history::rollback(&client, revision, &options, output).await
        }
        Command::History { revision: Some(revision), .. } => {
            history::one(&client, revision, output).await
        }
        Command::History { revision: None, limit } => history::list(&client, limit, output).await,
        Command::Backup { file, passphrase } => backup::backup(&client, &file, &passphrase).await,
        Command::Restore { file, passphrase, keep_users, options } => {
            backup::restore(&client, &file, &passphrase, keep_users, &options, output).await
        }
        Command::Export { candidate } => backup::export(&client, candidate).await,
        Command::Import { file, options } => apply::import(&client, &file, &options, output).await,
        Command::Status => status::status(&client, output).await,
        Command::Top(options) => top::top(&client, &options, output).await,
        Command::Events(options) => events::events(&client, &options, output).await,
        Command::Trace(options) => trace::trace(&client, options, output).await,
        Command::Plan(options) => plan::plan(&client, &options, output).await,
        Command::Explain { stage, link, options } => {
            explain::explain(&client, stage, link.as_ref(), &options, output).await
        }
        Command::User { command } => access::user(&client, command, output).await,
        Command::Token { command } => access::token(&client, command, output).await,
        Command::Session { command } => access::session(&client, command, output).await,
        Command::Audit { command: Some(AuditCommand::Check), .. } => {
            access::check_audit(&client, output).await
        }
        Command::Audit { command: None, limit } => access::audit(&client, limit, output).await,
        Command::Certificate { command } => access::certificate(&client, command, output).await,
        Command::Version => status::version(&client, output).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
