//! `cargo xtask bench`: builds what is measured and hands over to the benchmarks.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{ebpf, paths, run, setup};

#[derive(Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Options {
    /// What to measure, and how: `cargo xtask bench help` lists it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(crate) fn bench(options: &Options) -> Result<ExitCode> {
    build()?;
    // In our place: it alone gets Ctrl-C, and takes everything away before it ends.
    Err(command().args(&options.arguments).exec()).context("cannot start sluice-bench")
}

fn build() -> Result<()> {
    setup::ensure()?;
    ebpf::build()?;
    // What is measured is what users run.
    let packages = ["--package", "sluice-appliance", "--package", "sluice-benchmarks"];
    run::run(run::cargo().args(["build", "--release"]).args(packages))
}

fn command() -> Command {
    let mut command = Command::new(paths::target().join("release/sluice-bench"));
    command.current_dir(paths::root());
    command.arg("--ebpf").arg(paths::ebpf_objects().join("bench.o"));
    command.arg("--programs").arg(paths::target().join("release"));
    command
}
