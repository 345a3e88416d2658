//! The acceptance list: what must hold before Sluice may call itself a load balancer.

mod bodies;
mod cards;
mod changes;
mod prefilter;
mod shares;
mod traffic;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::gateway::Programs;
use crate::laboratory::{self, Laboratory, Site};
use crate::plan::{Nic, SERVICES, first_members};
use crate::report::Report;
use crate::stop::Stop;

/// How much of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The changes once, with the load spread over all services: for every commit.
    Short,
    /// The changes for every service on its own, with the whole load.
    Long,
}

/// Builds a laboratory, runs the list, and takes everything away.
pub(crate) fn check(
    programs: &Programs,
    ebpf: &Path,
    nic: Nic,
    extent: Extent,
    keep: bool,
) -> Result<ExitCode> {
    let mut report = Report::default();
    if let Some(why) = laboratory::obstacle() {
        report.skip("acceptance list", why);
        return Ok(report.finish());
    }
    let stop = Stop::on_signals()?;
    let mut site = Site::build(programs, ebpf, nic)?;
    let mut lab = site.open(stop)?;
    let outcome = run(&mut lab, extent, &mut report);
    if keep && !lab.stop.requested() {
        // The list ends with everything detached; the state folder still has the services.
        lab.daemon.start_again()?;
        println!("{}", lab.directions());
        lab.stop.wait_until_requested();
    }
    drop(lab);
    drop(site);
    if let Err(error) = outcome {
        // What could not be set up or was interrupted leaves the rest of the list unproven.
        report.check("acceptance list", Err(error));
    }
    report.check("nothing is left", nothing_left());
    Ok(report.finish())
}

fn run(lab: &mut Laboratory<'_>, extent: Extent, report: &mut Report) -> Result<()> {
    let ready = lab.daemon.start()?;
    report.check("gateway is ready", Ok(format!("after {} ms", ready.as_millis())));
    lab.apply_and_wait(&first_members())?;
    if lab.card.is_some() {
        // What the rest of the list says of the gateway is said with its usual links.
        cards::check(lab, extent, report)?;
        lab.daemon.stop()?;
        report.check("detach-all removes every pin", no_pins(lab));
        return Ok(());
    }
    for service in SERVICES {
        shares::check(lab, service, report)?;
    }
    for service in SERVICES {
        bodies::check(lab, service, report)?;
    }
    prefilter::check(lab, report)?;
    match extent {
        Extent::Short => changes::check(lab, "all", &SERVICES, extent, report)?,
        Extent::Long => {
            for service in SERVICES {
                changes::check(lab, service.name, &[service], extent, report)?;
            }
        }
    }
    lab.daemon.stop()?;
    report.check("detach-all removes every pin", no_pins(lab));
    Ok(())
}

fn no_pins(lab: &Laboratory<'_>) -> Result<String> {
    let before = lab.daemon.pins()?.len();
    lab.daemon.detach_all()?;
    let after = lab.daemon.pins()?;
    if !after.is_empty() {
        bail!("{} of {before} pins are still there: {after:?}", after.len());
    }
    Ok(format!("{before} pins removed"))
}

fn nothing_left() -> Result<String> {
    let left = laboratory::leftovers()?;
    if !left.is_empty() {
        bail!("{}", left.join(", "));
    }
    Ok("no namespace, process or file of the laboratory".to_owned())
}
