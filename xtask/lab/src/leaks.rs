//! Start, configure, stop, many times: nothing stays in the kernel, and no descriptor in the daemon.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sluice_kernel::linux::{ObjectIds, object_ids};

use crate::gateway::Programs;
use crate::kernel_objects::Snapshot;
use crate::laboratory::{self, Laboratory, Site};
use crate::plan::{Member, Nic, first_members};
use crate::report::Report;
use crate::stop::Stop;

/// The kernel frees programs and maps after a grace period.
const FREE_PATIENCE: Duration = Duration::from_secs(10);
/// In so many cycles one daemon is configured anew once, to see whether its descriptors grow.
const CYCLES_PER_CONFIGURATION: usize = 2;

/// Builds a laboratory, runs the cycles, and takes everything away.
pub(crate) fn leaks(programs: &Programs, ebpf: &Path, nic: Nic, cycles: usize) -> Result<ExitCode> {
    let mut report = Report::default();
    if let Some(why) = laboratory::obstacle() {
        report.skip("leaks", why);
        return Ok(report.finish());
    }
    let stop = Stop::on_signals()?;
    let mut site = Site::build(programs, ebpf, nic)?;
    let mut lab = site.open(stop)?;
    let idle = object_ids()?;
    let configurations = cycles / CYCLES_PER_CONFIGURATION;
    report.check("descriptors of a daemon", descriptors(&mut lab, configurations));
    lab.daemon.stop()?;
    lab.daemon.detach_all()?;
    report.check("objects in the kernel", objects(&mut lab, &idle, cycles));
    drop(lab);
    drop(site);
    let left = laboratory::leftovers()?;
    let nothing = if left.is_empty() {
        Ok("no namespace".to_owned())
    } else {
        Err(anyhow::anyhow!(left.join(", ")))
    };
    report.check("nothing is left", nothing);
    Ok(report.finish())
}

fn objects(lab: &mut Laboratory<'_>, idle: &ObjectIds, cycles: usize) -> Result<String> {
    wait_until_free(lab, idle);
    let before = Snapshot::take()?;
    let mut most = Snapshot::default();
    let started = Instant::now();
    for cycle in 1..=cycles {
        lab.stop.sleep(Duration::ZERO)?;
        let context = || format!("in cycle {cycle}");
        lab.daemon.start().with_context(context)?;
        lab.daemon.sluice().apply(&first_members()).with_context(context)?;
        let running = Snapshot::take()?.since(&before);
        if running.len() > most.len() {
            most = running;
        }
        lab.daemon.stop().with_context(context)?;
        lab.daemon.detach_all().with_context(context)?;
        let pins = lab.daemon.pins()?;
        if !pins.is_empty() {
            bail!("pins are left after cycle {cycle}: {pins:?}");
        }
    }
    if most.is_empty() {
        bail!("the daemon put nothing into the kernel, so nothing could leak");
    }
    let took = started.elapsed();
    wait_until_free(lab, idle);
    lab.stop
        .wait_for(FREE_PATIENCE, "the kernel frees everything", || {
            let left = Snapshot::take()?.since(&before).named_as(&most);
            Ok(left.is_empty().then_some(()))
        })
        .with_context(|| match Snapshot::take() {
            Ok(now) => {
                format!("left in the kernel: {}", now.since(&before).named_as(&most).listed())
            }
            Err(error) => format!("{error:#}"),
        })?;
    Ok(format!(
        "{cycles} cycles in {} s, each with {} programs, maps and links: none is left",
        took.as_secs(),
        most.len()
    ))
}

/// Waits for the kernel to free what is not used any more. Nothing is opened that is about to vanish, see
/// [`object_ids`]; objects of others may stay, their names tell them apart afterwards.
fn wait_until_free(lab: &Laboratory<'_>, idle: &ObjectIds) {
    let _ = lab.stop.wait_for(FREE_PATIENCE, "the kernel frees everything", || {
        let now = object_ids()?;
        let is_free = now.programs.is_subset(&idle.programs)
            && now.maps.is_subset(&idle.maps)
            && now.links.is_subset(&idle.links);
        Ok(is_free.then_some(()))
    });
}

fn descriptors(lab: &mut Laboratory<'_>, configurations: usize) -> Result<String> {
    lab.daemon.start()?;
    let mut members = first_members();
    // Once before the count: what is opened once and kept is no leak.
    configure(lab, &mut members)?;
    let first = open_descriptors(lab)?;
    for _ in 0..configurations {
        lab.stop.sleep(Duration::ZERO)?;
        configure(lab, &mut members)?;
    }
    let last = open_descriptors(lab)?;
    if last > first {
        bail!("{first} before, {last} after {configurations} configurations");
    }
    Ok(format!("{first} before, {last} after {configurations} configurations"))
}

/// All services away, then back with other weights.
fn configure(lab: &Laboratory<'_>, members: &mut [Member]) -> Result<()> {
    members.rotate_left(1);
    lab.daemon.sluice().apply(members)?;
    lab.daemon.sluice().delete_services()?;
    lab.daemon.sluice().apply(members)
}

/// The least number within a second: probes hold a descriptor each while they run.
fn open_descriptors(lab: &Laboratory<'_>) -> Result<usize> {
    let id = lab.daemon.process_id().context("the daemon does not run")?;
    let mut least = usize::MAX;
    for _ in 0..50 {
        least = least.min(std::fs::read_dir(format!("/proc/{id}/fd"))?.count());
        lab.stop.sleep(Duration::from_millis(20))?;
    }
    Ok(least)
}
