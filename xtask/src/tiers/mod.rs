//! `cargo xtask test`: the tiers of tests, summed up in one line.

mod console;
mod lab_output;
mod laboratory;
mod libtest;
mod machine;
mod selection;
mod summary;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use self::selection::Selection;
use self::summary::Summary;
use crate::vm::GuestOptions;
use crate::{ebpf, setup};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// The long forms: more cycles, every service on its own
    #[arg(long)]
    pub(crate) long: bool,
    /// Count a tier that cannot run here as failed, not as skipped
    #[arg(long)]
    pub(crate) all_must_run: bool,
    /// The tiers to run; all when none is named
    #[arg(value_enum)]
    pub(crate) tiers: Vec<Tier>,
}

/// Where tests run, from fast to slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tier {
    /// Unit, property and documentation tests; no privileges
    Native,
    /// The real eBPF programs in this kernel, through BPF_PROG_TEST_RUN; root
    Program,
    /// Real traffic between network namespaces; root
    Netns,
    /// A browser at the web console, while traffic goes through the laboratory; root
    Console,
    /// A virtual machine with a stock kernel and simulated NICs
    Vm,
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Tier::Native => "native",
            Tier::Program => "program",
            Tier::Netns => "netns",
            Tier::Console => "console",
            Tier::Vm => "vm",
        }
    }
}

pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    setup::ensure()?;
    // The kernel crate embeds the programs, so nothing compiles without them.
    ebpf::build()?;
    let tiers = if options.tiers.is_empty() { Tier::value_variants() } else { &options.tiers };
    if tiers.contains(&Tier::Console) {
        console::prepare()?;
    }
    let selection = Selection::read()?;
    let mut total = Summary::default();
    let mut table = Vec::new();
    for tier in tiers {
        println!("\n== {}", tier.name());
        let started = Instant::now();
        let summary = run(*tier, &selection, options)?;
        table.push(format!(
            "{:<8} {}   {} s",
            tier.name(),
            summary.row(),
            started.elapsed().as_secs()
        ));
        total.add(summary);
    }
    println!();
    for row in table {
        println!("{row}");
    }
    Ok(end(&total))
}

/// `cargo xtask vm test`: the tier `vm` alone, as its options say.
pub(crate) fn test_in_guest(
    guest: GuestOptions,
    long: bool,
    filter: Option<String>,
) -> Result<ExitCode> {
    setup::ensure()?;
    ebpf::build()?;
    let summary = machine::run(&Selection::read()?, guest, long, filter.as_deref())?;
    if let Some(filter) = filter
        && summary == Summary::default()
    {
        bail!("no test of the tier vm and no binary of it has a name with '{filter}' in it");
    }
    println!();
    Ok(end(&summary))
}

fn end(total: &Summary) -> ExitCode {
    total.print();
    if total.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(tier: Tier, selection: &Selection, options: &Options) -> Result<Summary> {
    if tier == Tier::Vm {
        return Ok(in_guest(selection, options));
    }
    if tier == Tier::Console {
        return console::run(options.long);
    }
    let mut summary = Summary::default();
    libtest::begin_log(tier.name())?;
    for arguments in selection.of(tier) {
        summary.add(libtest::cargo_test(tier.name(), &arguments, options.long)?);
    }
    if tier == Tier::Netns {
        summary.add(laboratory::run(options.long)?);
    }
    Ok(summary)
}

/// A machine on which no guest can be made misses these tests, aloud.
fn in_guest(selection: &Selection, options: &Options) -> Summary {
    machine::run(selection, GuestOptions::default(), options.long, None).unwrap_or_else(|error| {
        let mut summary = Summary::default();
        let why = format!("{error:#}");
        if options.all_must_run {
            summary.failed.push(format!("tier vm: {why}"));
        } else {
            summary.skipped.push(("tier vm".to_owned(), why));
        }
        summary
    })
}
