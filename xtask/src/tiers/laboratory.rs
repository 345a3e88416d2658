//! The laboratory's part of the tier `netns`: the acceptance list and the search for leaks.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

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
        summary.add(parser.finish(name, child.wait()?));
    }
    Ok(summary)
}
