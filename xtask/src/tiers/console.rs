//! The tier `console`: a browser at the console of the real daemon, while traffic goes through the laboratory.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::lab_output::Parser;
use super::summary::Summary;
use crate::{console, lab, run, setup};

pub(crate) fn run(long: bool) -> Result<Summary> {
    setup::ensure_for_console()?;
    console::build(&console::Options::default())?;
    console::check()?;
    let mut summary = Summary::default();
    if !setup::is_root() {
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
    println!("$ {}", run::shown(&command));
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sluice-lab")?;
    let mut parser = Parser::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).split(b'\n') {
            let line = line?;
            if let Some(shown) = parser.line(&String::from_utf8_lossy(&line)) {
                println!("{shown}");
            }
        }
    }
    summary.add(parser.finish("with", child.wait()?));
    Ok(summary)
}
