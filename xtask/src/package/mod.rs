//! `cargo xtask package`: the Debian package, and the test of it.

mod build;
mod chroot;
mod root;
mod test;
mod traffic;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

pub(crate) use build::build;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Make the package below .cache/package; what is done when nothing is said
    Build,
    /// Install, serve, upgrade under traffic, remove and purge it in Debian 12 and 13, in chroots and network namespaces
    Test(test::Options),
    /// The traffic of the test
    #[command(hide = true)]
    Traffic {
        #[command(subcommand)]
        what: traffic::Traffic,
    },
}

pub(crate) fn package(options: &Options) -> Result<ExitCode> {
    match &options.command {
        None | Some(Command::Build) => {
            println!("{}", build()?.display());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Test(options)) => test::test(options),
        Some(Command::Traffic { what }) => traffic::traffic(what),
    }
}
