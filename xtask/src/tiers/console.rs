//! The tier `console`: a browser at the console of the real daemon, while traffic goes through the laboratory.

use anyhow::{Context, Result};

use super::laboratory;
use super::summary::Summary;
use crate::{console, lab, run, setup};

/// Builds the console: before all else that is compiled, so that the daemon is compiled once, with the console in it.
pub(super) fn prepare() -> Result<()> {
    console::build(&console::Options::default())?;
    console::check()
}

pub(super) fn run(long: bool) -> Result<Summary> {
    if !setup::is_root() {
        let mut summary = Summary::default();
        let why = "network namespaces and XDP need root".to_owned();
        println!("skipped: {why}");
        summary.skipped.push(("tier console".to_owned(), why));
        return Ok(summary);
    }
    lab::build()?;
    let mut command = lab::command("with");
    let node = run::find_program("node").context("node is not there: `cargo xtask setup`")?;
    command.arg("--").arg(node).arg(console::folder().join("tests/run.mjs"));
    if long {
        command.env("SLUICE_LONG", "1");
    }
    laboratory::follow("with", command)
}
