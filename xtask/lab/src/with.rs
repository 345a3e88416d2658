//! `sluice-lab with -- COMMAND`: a command beside the laboratory, with traffic and a client that is denied.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::client::Steady;
use crate::gateway::Programs;
use crate::laboratory::{self, Laboratory, Site};
use crate::live::knock;
use crate::plan::{Nic, SERVICES, first_members};
use crate::process::Process;
use crate::stop::Stop;

const REQUESTS_PER_SECOND: u32 = 100;
const LOOK: Duration = Duration::from_millis(100);

/// Builds the laboratory, runs the command, and takes everything away. Ends as the command did.
pub(crate) fn with(
    programs: &Programs,
    ebpf: &Path,
    nic: Nic,
    command: &[OsString],
) -> Result<ExitCode> {
    if let Some(why) = laboratory::obstacle() {
        bail!("{why}: run it as root");
    }
    let stop = Stop::on_signals()?;
    let mut site = Site::build(programs, ebpf, nic)?;
    let mut lab = site.open(stop)?;
    let outcome = run(&mut lab, command);
    drop(lab);
    drop(site);
    outcome
}

fn run(lab: &mut Laboratory<'_>, command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command")?;
    lab.daemon.start()?;
    lab.apply_and_wait(&first_members())?;
    let steady = Steady::start(&lab.topology.client, &SERVICES, REQUESTS_PER_SECOND)?;
    std::thread::scope(|scope| {
        let done = Arc::new(AtomicBool::new(false));
        let knocking = done.clone();
        let topology = lab.topology;
        scope.spawn(move || knock(topology, &knocking));
        let mut wanted = Command::new(program);
        wanted.args(arguments).env("SLUICE_SOCKET", lab.daemon.socket());
        let outcome = watch(lab, &steady, &mut wanted);
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Waits for the command; ends it when the user asks to end.
fn watch(lab: &mut Laboratory<'_>, steady: &Steady, wanted: &mut Command) -> Result<ExitCode> {
    let child = wanted.spawn().with_context(|| format!("cannot start {wanted:?}"))?;
    let mut process = Process::new("command", child);
    loop {
        if let Some(status) = process.ended()? {
            return Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        lab.daemon.assert_running()?;
        // What was answered is not the question here; it shall not pile up either.
        drop(steady.take());
        lab.stop.sleep(LOOK)?;
    }
}
