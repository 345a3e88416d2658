//! What runs in the laboratory: in the tier `netns` the acceptance list and the search for leaks, in `console` a browser.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::lab_output::Parser;
use super::summary::Summary;
use crate::{lab, run};

pub(crate) fn run(long: bool) -> Result<Summary> {
    lab::build()?;
    let mut summary = Summary::default();
    for name in ["check", "leaks"] {
        let mut command = lab::command(name);
        if long {
            command.arg("--long");
        }
        summary.add(follow(name, command)?);
    }
    Ok(summary)
}

/// Runs a command of the laboratory, shows its checks and counts them.
pub(super) fn follow(name: &str, mut command: Command) -> Result<Summary> {
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
    Ok(parser.finish(name, child.wait()?))
}
