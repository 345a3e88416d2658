//! Developer commands of Sluice: `cargo xtask COMMAND`.

mod bench;
mod ci;
mod console;
mod debian;
mod ebpf;
mod lab;
mod offload;
mod package;
mod paths;
mod run;
mod setup;
mod tiers;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Developer commands of Sluice.
#[derive(Parser)]
#[command(name = "cargo xtask", version, about, disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what the build and the laboratory miss, and install it (root on Debian 12 or 13)
    Setup(setup::Options),
    /// Compile the eBPF programs into .cache/ebpf and check the objects
    BuildEbpf,
    /// Build the web console, which the daemon then has in it
    BuildConsole(console::Options),
    /// Say whether a network card would take the programs that are made for cards
    CheckOffload(offload::Options),
    /// Run every tier of tests, or the named ones
    Test(tiers::Options),
    /// Bring up the laboratory of network namespaces and watch traffic go through it
    Lab(lab::Options),
    /// The virtual machine with netdevsim: its tests, a shell, a command
    Vm(vm::Options),
    /// Measure: packet, control, page, compare, gate
    Bench(bench::Options),
    /// Make the Debian package, or test it
    Package(package::Options),
    /// What continuous integration runs: format, clippy, licences, every tier of tests
    Ci,
}

fn main() -> ExitCode {
    match execute(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> Result<ExitCode> {
    match command {
        Command::Setup(options) => setup::setup(&options),
        Command::BuildEbpf => ebpf::build().map(|()| ExitCode::SUCCESS),
        Command::BuildConsole(options) => console::build(&options).map(|()| ExitCode::SUCCESS),
        Command::CheckOffload(options) => offload::check_offload(&options),
        Command::Test(options) => tiers::test(&options),
        Command::Lab(options) => lab::lab(&options),
        Command::Vm(options) => vm::vm(options),
        Command::Bench(options) => bench::bench(&options),
        Command::Package(options) => package::package(&options),
        Command::Ci => ci::ci(),
    }
}
