//! `cargo xtask test`: the tiers of tests, summed up in one line.

mod lab_output;
mod laboratory;
mod libtest;
mod selection;
mod summary;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::selection::Selection;
use self::summary::Summary;
use crate::{ebpf, setup};

#[derive(Args, Default)]
pub(crate) struct Options {
    /// The long forms: more cycles, every service on its own
    #[arg(long)]
    pub(crate) long: bool,
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
}

impl Tier {
    fn name(self) -> &'static str {
        match self {
            Tier::Native => "native",
            Tier::Program => "program",
            Tier::Netns => "netns",
        }
    }
}

pub(crate) fn test(options: &Options) -> Result<ExitCode> {
    setup::ensure()?;
    // The kernel crate embeds the programs, so nothing compiles without them.
    ebpf::build()?;
    let tiers = if options.tiers.is_empty() { Tier::value_variants() } else { &options.tiers };
    let selection = Selection::read()?;
    let mut total = Summary::default();
    let mut table = Vec::new();
    for tier in tiers {
        println!("\n== {}", tier.name());
        let started = Instant::now();
        let summary = run(*tier, &selection, options.long)?;
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
    total.print();
    Ok(if total.is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(tier: Tier, selection: &Selection, long: bool) -> Result<Summary> {
    let mut summary = Summary::default();
    libtest::begin_log(tier.name())?;
    for arguments in selection.of(tier) {
        summary.add(libtest::cargo_test(tier.name(), &arguments, long)?);
    }
    if tier == Tier::Netns {
        summary.add(laboratory::run(long)?);
    }
    Ok(summary)
}
