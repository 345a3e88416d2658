//! The command `hwprobe`.

mod args;
mod load;
mod table;

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use sluice_profile::{Profile, difference, json_schema, shipped};

use args::{Arguments, Output};

/// Why the command ends without what was asked for.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Probe(#[from] crate::Error),
    #[error(transparent)]
    Load(#[from] load::LoadError),
    #[error("cannot write JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the answer: {0}")]
    Output(#[from] io::Error),
}

/// Runs the command; the exit code is 0, 1 after an error or for profiles that differ, 2 after a wrong command line.
pub fn main<I, T>(arguments: I) -> ExitCode
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
    match run(&arguments) {
        Ok(code) => code,
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("hwprobe: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, CliError> {
    let words: Vec<_> = arguments.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["schema"] => write(&json(&json_schema())?)?,
        ["list"] => write(&list())?,
        ["show", from] => print(&load::profile(from)?, arguments)?,
        ["diff", first, second] => {
            let (first, second) = (load::profile(first)?, load::profile(second)?);
            let differences = difference(&first, &second);
            write(&table::differences(&first, &second, &differences))?;
            return Ok(ExitCode::from(u8::from(!differences.is_empty())));
        }
        [link] => {
            let options =
                crate::Options { disruptive: arguments.disruptive, ..crate::Options::default() };
            let mut probed = crate::probe(link, options)?;
            if let Some(name) = &arguments.name {
                probed.profile.name.clone_from(name);
            }
            for leftover in &probed.leftovers {
                eprintln!("hwprobe: removed what an earlier probe left behind: {leftover}");
            }
            print(&probed.profile, arguments)?;
        }
        _ => {
            eprintln!("hwprobe: what is asked for? {}", args::USAGE);
            return Ok(ExitCode::from(2));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(profile: &Profile, arguments: &Arguments) -> Result<(), CliError> {
    match arguments.output {
        Output::Json => write(&json(profile)?),
        Output::Table => write(&table::profile(profile, arguments.evidence)),
    }
}

fn list() -> String {
    let mut text = String::new();
    for name in shipped::names() {
        let origin = match shipped::profile(name) {
            Some(Ok(profile)) => table::origin(&profile.origin),
            _ => "cannot be read".to_owned(),
        };
        text.push_str(&format!("{name:<16}{origin}\n"));
    }
    text
}

fn json(value: &impl serde::Serialize) -> Result<String, CliError> {
    Ok(serde_json::to_string_pretty(value)?)
}

fn write(text: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(text.trim_end().as_bytes())?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}
