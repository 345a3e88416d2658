//! The command `sluice`: everything that the API has, from a terminal.

mod apply;
mod args;
mod client;
mod describe;
mod error;
mod events;
mod explain;
mod generate;
mod get;
mod output;
mod plan;
mod sse;
mod status;
mod top;
mod trace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
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
        Command::Delete { kind, name, dry_run } => {
            apply::delete(&client, kind, &name, dry_run, output).await
        }
        Command::Status => status::status(&client, output).await,
        Command::Top(options) => top::top(&client, &options, output).await,
        Command::Events(options) => events::events(&client, &options, output).await,
        Command::Trace(options) => trace::trace(&client, options, output).await,
        Command::Plan(options) => plan::plan(&client, &options, output).await,
        Command::Explain { stage, link, options } => {
            explain::explain(&client, stage, link.as_ref(), &options, output).await
        }
        Command::Probe { link } => plan::probe(&client, &link, output).await,
        Command::Version => status::version(&client, output).await,
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}
