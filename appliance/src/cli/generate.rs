//! `sluice completions` and `sluice man`.

use std::fs;
use std::io;
use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;

use super::CliError;
use super::args::Arguments;

pub(super) fn completions(shell: Shell) -> Result<(), CliError> {
    clap_complete::generate(shell, &mut Arguments::command(), "sluice", &mut io::stdout());
    Ok(())
}

pub(super) fn man(directory: &Path) -> Result<(), CliError> {
    let failed = |error| CliError::File { path: directory.to_owned(), error };
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Arguments::command(), directory).map_err(failed)
}
