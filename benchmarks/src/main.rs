//! How fast the gateway is, what each feature costs, how cost grows. `cargo xtask bench` builds and calls it.

use anyhow::Result;
use clap::{Parser, Subcommand};
use sluice_benchmarks::{
    compare, control, gate,
    machine::Machine,
    packet, page,
    record::{self, Record},
};
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Parser)]
#[command(name = "sluice-bench", about, disable_version_flag = true)]
struct Arguments {
    /// The benchmarks' eBPF object
    #[arg(long, global = true, default_value = ".cache/ebpf/bench.o")]
    ebpf: PathBuf,
    /// The folder of the daemon and the command
    #[arg(long, global = true, default_value = "target/release")]
    programs: PathBuf,
    /// The repository, whose commit is noted and where the results are
    #[arg(long, global = true, default_value = ".")]
    repository: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the programs cost per packet
    Packet {
        /// Only setups whose name contains this
        #[arg(long)]
        only: Option<String>,
        /// How often everything is measured
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Only what the gate looks at
        #[arg(long)]
        short: bool,
        /// Don't write the results down
        #[arg(long)]
        dry: bool,
    },
    /// How long changes take from the request to the tables, and what the daemon needs
    Control {
        /// Only parts whose name contains this: services, prefixes
        #[arg(long)]
        only: Option<String>,
        /// Don't write the results down
        #[arg(long)]
        dry: bool,
    },
    /// What changed between the results of two commits
    Compare {
        /// The older: a commit, its beginning, or a file
        old: String,
        /// The newer
        new: String,
    },
    /// The results of a commit as a page with tables and plots
    Page {
        /// The commit, its beginning, or a file
        commit: String,
    },
    /// Fail if the gateway became slower than the baseline allows
    Gate {
        /// Make this the baseline
        #[arg(long)]
        update: bool,
        /// How often everything is measured
        #[arg(long, default_value_t = 15)]
        rounds: usize,
        /// Let the gateway do some idle work before each packet: to see that a slow-down is found
        #[arg(long)]
        slow: bool,
    },
}

/// The baseline of the gate.
const BASELINE: &str = "baseline";

fn main() -> ExitCode {
    match execute(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn execute(arguments: &Arguments) -> Result<ExitCode> {
    let machine = Machine::here(&arguments.repository);
    match &arguments.command {
        Command::Packet { only, rounds, short, dry } => {
            println!("{}", machine.line());
            let options = packet::Options {
                object: &arguments.ebpf,
                only: only.as_deref(),
                short: *short,
                rounds: *rounds,
            };
            keep(arguments, &machine, *dry, &packet::run(&options, &machine)?)?;
        }
        Command::Control { only, dry } => {
            println!("{}", machine.line());
            let records = control::run(&arguments.programs, only.as_deref(), &machine)?;
            keep(arguments, &machine, *dry, &records)?;
        }
        Command::Compare { old, new } => {
            let (old, new) = (find(arguments, old)?, find(arguments, new)?);
            for line in compare::lines(&record::read(&old)?, &record::read(&new)?) {
                println!("{line}");
            }
        }
        Command::Page { commit } => {
            page::write(&arguments.repository, &find(arguments, commit)?)?;
        }
        Command::Gate { update, rounds, slow } => {
            return run_gate(arguments, &machine, *update, *rounds, *slow);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes results down.
fn keep(arguments: &Arguments, machine: &Machine, dry: bool, records: &[Record]) -> Result<()> {
    if dry || records.is_empty() {
        return Ok(());
    }
    record::merge(&record::file(&arguments.repository, &machine.commit), records)
}

fn find(arguments: &Arguments, name: &str) -> Result<PathBuf> {
    compare::find(&arguments.repository, name)
}

fn run_gate(
    arguments: &Arguments,
    machine: &Machine,
    update: bool,
    rounds: usize,
    slow: bool,
) -> Result<ExitCode> {
    println!("{}", machine.line());
    let file: &Path = &record::file(&arguments.repository, BASELINE);
    if update {
        let options = packet::Options {
            object: &arguments.ebpf,
            only: None,
            short: true,
            rounds: rounds * 3,
        };
        record::merge(file, &packet::run(&options, machine)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(why) = packet::obstacle() {
        println!("skipped: {why}");
        return Ok(ExitCode::SUCCESS);
    }
    if !file.exists() {
        println!("skipped: there is no baseline; `cargo xtask bench gate --update` makes it");
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = record::read(file)?;
    gate::warn_of_other_machine(&baseline, machine);
    packet::stay_here();
    let mut wrapper = packet::Wrapper::load(&arguments.ebpf)?;
    let findings = gate::gate(&mut wrapper, &packet::setups(true), &baseline, rounds, slow)?;
    for finding in &findings {
        println!("slower: {finding}");
    }
    Ok(if findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
