//! Programs that cargo installs: bpf-linker, and cargo-deny for continuous integration.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Need, State, Toolchain};
use crate::{paths, run};

const LINKER: &str = "bpf-linker";
const LINKER_VERSION: &str = "0.13.0";
/// The LLVM releases that this bpf-linker can be compiled with.
const LINKER_LLVM: [u32; 3] = [21, 22, 23];

const DENY: &str = "cargo-deny";
const DENY_VERSION: &str = "0.20.2";

/// The LLVM to compile bpf-linker with: it reads bitcode of its own release and of older ones.
pub(crate) fn linker_llvm(compiler: u32) -> u32 {
    LINKER_LLVM.into_iter().find(|major| *major >= compiler).unwrap_or(compiler)
}

/// Where Debian's LLVM packages are; llvm-sys looks elsewhere by itself and then fails to link.
pub(crate) fn llvm_prefix(major: u32) -> String {
    format!("/usr/lib/llvm-{major}")
}

pub(crate) fn linker_is_there() -> bool {
    version_of(LINKER).is_some_and(|version| version == LINKER_VERSION)
}

pub(crate) fn bpf_linker(toolchain: &Toolchain) -> Need {
    let major = linker_llvm(toolchain.llvm_major);
    let install = move || -> Result<()> {
        run::run(&mut install_linker(major)).with_context(|| {
            format!("{LINKER} {LINKER_VERSION} did not compile with LLVM {major}: is its -dev package there?")
        })
    };
    Need {
        name: format!("{LINKER} {LINKER_VERSION}"),
        purpose: "links the eBPF programs",
        state: if linker_is_there() {
            found(LINKER)
        } else {
            let commands = vec![run::shown(&install_linker(major))];
            State::Missing { commands, install: Box::new(install) }
        },
    }
}

fn install_linker(major: u32) -> Command {
    let mut command = install_command(LINKER, LINKER_VERSION);
    command.args(["--no-default-features", "--features"]).arg(format!("llvm-{major}"));
    if Path::new("/etc/debian_version").exists() {
        command.env("LLVM_PREFIX", llvm_prefix(major));
    }
    command
}

/// What only continuous integration runs.
pub(crate) fn for_ci() -> Vec<Need> {
    let mut needs = vec![
        component("rustfmt", "rustfmt", "checks the format"),
        component("clippy", "cargo-clippy", "checks the code"),
    ];
    let deny_is_there = version_of(DENY).is_some_and(|version| version == DENY_VERSION);
    needs.push(Need {
        name: format!("{DENY} {DENY_VERSION}"),
        purpose: "checks licences, duplicates and sources of dependencies",
        state: if deny_is_there {
            found(DENY)
        } else {
            State::Missing {
                commands: vec![run::shown(&install_command(DENY, DENY_VERSION))],
                install: Box::new(|| run::run(&mut install_command(DENY, DENY_VERSION))),
            }
        },
    });
    needs
}

/// A component of rustup's toolchains. Its proxies are there even when the component is not, so ask them.
fn component(name: &'static str, program: &'static str, purpose: &'static str) -> Need {
    let add = move || {
        let mut command = Command::new("rustup");
        command.args(["component", "add", name]);
        command
    };
    Need {
        name: name.to_owned(),
        purpose,
        state: match version_of(program) {
            Some(version) => State::Present(version),
            None => State::Missing {
                commands: vec![run::shown(&add())],
                install: Box::new(move || run::run(&mut add())),
            },
        },
    }
}

/// Into the repository's own folder: the user's versions in cargo's home stay.
fn install_command(name: &str, version: &str) -> Command {
    let mut command = run::cargo();
    command.args(["install", name, "--version", version, "--locked", "--root"]);
    command.arg(paths::cache().join("tools"));
    // Shared with nothing, and removed by cargo afterwards only when it chose the place itself.
    command.env_remove("CARGO_TARGET_DIR");
    command
}

fn found(name: &str) -> State {
    State::Present(
        run::find_program(name).map(|file| file.display().to_string()).unwrap_or_default(),
    )
}

/// The version that `NAME --version` prints, when it runs at all.
fn version_of(name: &str) -> Option<String> {
    let program = run::find_program(name)?;
    let text =
        run::output(Command::new(program).arg("--version").current_dir(paths::root())).ok()?;
    Some(text.split_whitespace().nth(1)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_is_never_older_than_the_compiler() {
        assert_eq!(linker_llvm(19), 21);
        assert_eq!(linker_llvm(22), 22);
        assert_eq!(linker_llvm(24), 24, "unknown to this bpf-linker: cargo says so");
    }

    #[test]
    fn tools_go_into_the_repository() {
        let line = run::shown(&install_linker(22));
        assert!(
            line.contains("cargo install bpf-linker --version 0.13.0 --locked --root"),
            "{line}"
        );
        assert!(line.contains(".cache/tools --no-default-features --features llvm-22"), "{line}");
    }
}
