//! `packet`: what the programs cost per packet, by `BPF_PROG_TEST_RUN`.

mod case;
mod check;
mod configuration;
mod frame;
mod gateway;
mod peers;
mod rounds;
mod setup;
mod wrapper;

pub use case::{Case, FLOWS, Kind};
pub use check::Expectation;
pub use configuration::{Configuration, Delivery, prefixes};
pub use frame::Transport;
pub use gateway::Gateway;
pub use rounds::Measured;
pub use setup::{Setup, setups};
pub use wrapper::{FlowWords, Load, Target, Wrapper};

use self::{peers::Peers, rounds::measure};
use crate::{machine::Machine, record::Record};
use anyhow::Result;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, geteuid},
};
use std::path::Path;

/// What to measure.
pub struct Options<'a> {
    /// The benchmarks' eBPF object.
    pub object: &'a Path,
    /// Only setups whose name contains this.
    pub only: Option<&'a str>,
    /// Only the setups of the gate.
    pub short: bool,
    /// How often everything is measured.
    pub rounds: usize,
}

/// Measures and prints; the records.
///
/// # Errors
/// When a program did something else than it must.
pub fn run(options: &Options<'_>, machine: &Machine) -> Result<Vec<Record>> {
    if let Some(why) = obstacle() {
        println!("skipped: {why}");
        return Ok(Vec::new());
    }
    stay_here();
    let mut wrapper = Wrapper::load(options.object)?;
    let wanted = |setup: &Setup| options.only.is_none_or(|part| setup.name.contains(part));
    let mut records = Vec::new();
    for setup in setups(options.short).into_iter().filter(wanted) {
        println!("{}", setup.name);
        let measured = measure_setup(&mut wrapper, &setup, options.rounds)?;
        for one in &measured {
            print(one);
            records.extend(one.records(machine));
        }
    }
    Ok(records)
}

/// A setup from its loading to its end.
///
/// # Errors
/// As [`run`].
pub fn measure_setup(wrapper: &mut Wrapper, setup: &Setup, rounds: usize) -> Result<Vec<Measured>> {
    let mut gateway = setup.load(wrapper)?;
    let peers = setup.peers.map_or_else(Peers::none, Peers::load);
    let mut measured = measure(wrapper, &gateway, &peers, &setup.cases, rounds)?;
    if !setup.changed.is_empty() {
        gateway.change(&setup.after_change())?;
        measured.extend(measure(wrapper, &gateway, &peers, &setup.changed, rounds)?);
    }
    Ok(measured)
}

/// The gateway and its floors alone, on a gateway that is loaded.
///
/// # Errors
/// As [`run`].
pub fn measure_loaded(
    wrapper: &mut Wrapper,
    gateway: &Gateway,
    cases: &[Case],
    rounds: usize,
) -> Result<Vec<Measured>> {
    measure(wrapper, gateway, &Peers::none(), cases, rounds)
}

/// Why programs cannot be measured here.
pub fn obstacle() -> Option<&'static str> {
    (!geteuid().is_root()).then_some("measuring programs in the kernel needs root")
}

/// Stays on one CPU, the last one: the first one has most of the machine's interrupts.
pub fn stay_here() {
    let last = std::thread::available_parallelism().map_or(1, usize::from) - 1;
    let mut cpus = CpuSet::new();
    if cpus.set(last).is_ok() {
        let _ = sched_setaffinity(Pid::from_raw(0), &cpus);
    }
}

fn print(measured: &Measured) {
    let median = |name: &str| crate::statistics::Summary::of(measured.times(name)).median;
    let others: Vec<String> = measured
        .programs
        .iter()
        .filter(|(name, _)| name != "sluice")
        .map(|(name, _)| format!("{name} {:.1}", median(name)))
        .collect();
    println!(
        "  {:56} {:7.1} ns   {:.2} of the floor   ({})",
        measured.case.name,
        median("sluice"),
        measured.ratio(),
        others.join(", ")
    );
}
