//! `cargo xtask build-console`: the web console's files, which the daemon embeds.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};
use clap::Args;

use crate::{ebpf, paths, run, setup};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// First write the description of the API, of which the console's client is made, from the daemon
    #[arg(long)]
    api: bool,
}

pub(crate) fn folder() -> PathBuf {
    paths::root().join("web-ui")
}

/// Installs what the build needs as the lock file says, and builds.
pub(crate) fn build(options: &Options) -> Result<()> {
    setup::ensure_for_console()?;
    if options.api {
        ebpf::build()?;
        let mut daemon = run::cargo();
        daemon.args(["run", "--quiet", "--package", "sluice-appliance", "--bin", "sluiced"]);
        let document = run::output(daemon.args(["--", "--openapi"]))?;
        fs::write(folder().join("openapi.json"), document).context("cannot write openapi.json")?;
    }
    install()?;
    npm(&["run", "generate"])?;
    npm(&["run", "build"])
}

/// Whether the client still fits the API that it is made of: types, templates, messages in both languages.
pub(crate) fn check() -> Result<()> {
    npm(&["run", "check"])
}

/// Only when the lock file is newer than what is there: it takes a while.
fn install() -> Result<()> {
    let time = |file: &str| fs::metadata(folder().join(file)).and_then(|file| file.modified()).ok();
    let installed = time("node_modules/.package-lock.json");
    if installed.is_some() && installed >= time("package-lock.json") {
        return Ok(());
    }
    npm(&["ci", "--no-audit", "--no-fund"])
}

fn npm(arguments: &[&str]) -> Result<()> {
    run::run(in_folder("npm").args(arguments))
}

/// A program of node's in the console's folder, with the node that setup chose first in the path.
pub(crate) fn in_folder(name: &str) -> Command {
    let mut command = Command::new(run::find_program(name).unwrap_or_else(|| name.into()));
    let mut folders = vec![paths::tools_bin()];
    folders.extend(env::var_os("PATH").iter().flat_map(env::split_paths));
    if let Ok(path) = env::join_paths(folders) {
        command.env("PATH", path);
    }
    command.current_dir(folder());
    command
}
