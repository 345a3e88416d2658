//! Node, with which the console is built: Debian 12 has one that is too old, so it comes from npm's registry then.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use super::{Need, State};
use crate::{paths, run};

/// What the bundler asks for.
const OLDEST: (u32, u32) = (20, 19);
/// The release that is taken when the system's is older.
const RELEASE: &str = "22";
/// The npm that goes with it: Debian's finds its parts only with Debian's node.
const NPM_RELEASE: &str = "10";

pub(crate) fn need() -> Need {
    let state = match found() {
        Some(version) => State::Present(version),
        None => State::Missing { commands: vec![run::shown(&install())], install: Box::new(get) },
    };
    Need {
        name: format!("node >= {}.{}", OLDEST.0, OLDEST.1),
        purpose: "builds the web console",
        state,
    }
}

/// The version of the node that would be used, if it is new enough.
fn found() -> Option<String> {
    let program = run::find_program("node")?;
    let version = run::output(Command::new(program).arg("--version")).ok()?;
    is_new_enough(version.trim()).then(|| version.trim().to_owned())
}

fn is_new_enough(version: &str) -> bool {
    let mut numbers = version.trim_start_matches('v').split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) >= OLDEST,
        _ => false,
    }
}

/// The registry's package with nothing but the program.
fn package() -> String {
    let processor = if env::consts::ARCH == "aarch64" { "arm64" } else { "x64" };
    format!("node-linux-{processor}")
}

fn folder() -> PathBuf {
    paths::cache().join("node")
}

fn install() -> Command {
    let mut command = Command::new(run::find_program("npm").unwrap_or_else(|| "npm".into()));
    command.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(folder());
    command.arg(format!("{}@{RELEASE}", package())).arg(format!("npm@{NPM_RELEASE}"));
    command
}

/// Into the repository's own folder; the system's node stays as it is.
fn get() -> Result<()> {
    // Packages of the system were installed in between.
    if found().is_some() {
        return Ok(());
    }
    fs::create_dir_all(folder())?;
    run::run(&mut install())?;
    link("node", &folder().join("node_modules").join(package()).join("bin/node"))?;
    link("npm", &folder().join("node_modules/npm/bin/npm-cli.js"))
}

fn link(name: &str, program: &Path) -> Result<()> {
    if !program.is_file() {
        bail!("{} is not there: npm's package has another form", program.display());
    }
    let link = paths::tools_bin().join(name);
    fs::create_dir_all(paths::tools_bin())?;
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    symlink(program, &link).with_context(|| format!("cannot link {}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_node_of_debian_12_is_too_old() {
        assert!(!is_new_enough("v18.20.4"));
        assert!(!is_new_enough("v20.18.1"));
        assert!(is_new_enough("v20.19.2") && is_new_enough("v22.1.0"));
        assert!(!is_new_enough(""));
    }
}
