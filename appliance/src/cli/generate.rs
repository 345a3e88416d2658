//! `sluice completions` and `sluice man`.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::CliError;
use super::args::Arguments;
use crate::daemon::Options;

pub(super) fn completions(shell: Shell) -> Result<(), CliError> {
    clap_complete::generate(shell, &mut Arguments::command(), "sluice", &mut io::stdout());
    Ok(())
}

/// The pages of the command and of the daemon.
pub(super) fn man(directory: &Path) -> Result<(), CliError> {
    let failed = |error| CliError::File { path: directory.to_owned(), error };
    fs::create_dir_all(directory).map_err(failed)?;
    for command in [Arguments::command(), Options::command()] {
        clap_mangen::generate_to(command, directory).map_err(failed)?;
    }
    Ok(())
}
