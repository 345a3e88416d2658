//! `cargo xtask lab`: builds what the laboratory needs and hands over to it.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{ebpf, paths, run, setup};

#[derive(Args)]
pub(crate) struct Options {
    /// Run the acceptance list without a terminal; exit code 0 when everything passed
    #[arg(long)]
    check: bool,
    /// With --check: the whole list, every service on its own
    #[arg(long, requires = "check")]
    long: bool,
    /// With --check: leave the laboratory up afterwards, until Ctrl-C
    #[arg(long, requires = "check")]
    keep: bool,
}

pub(crate) fn lab(options: &Options) -> Result<ExitCode> {
    setup::ensure()?;
    ebpf::build()?;
    build()?;
    let mut command = command(if options.check { "check" } else { "run" });
    for (wanted, flag) in [(options.long, "--long"), (options.keep, "--keep")] {
        if wanted {
            command.arg(flag);
        }
    }
    // In our place: it alone gets Ctrl-C, and takes everything away before it ends.
    Err(command.exec()).context("cannot start sluice-lab")
}

/// The daemon, the command and the laboratory, as users run them.
pub(crate) fn build() -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["build", "--release", "--package", "sluice-appliance", "--package", "sluice-lab"]);
    run::run(&mut cargo)
}

/// `sluice-lab NAME`, with what it needs to find.
pub(crate) fn command(name: &str) -> Command {
    let programs = paths::target().join("release");
    let mut command = Command::new(programs.join("sluice-lab"));
    command.current_dir(paths::root()).arg(name);
    command.arg("--programs").arg(programs).arg("--ebpf").arg(paths::ebpf_objects().join("lab.o"));
    command
}
