//! `sluice-lab with -- COMMAND`: a command at the laboratory's client, with traffic and another client that is denied.

use std::ffi::OsString;
use std::net::SocketAddr;
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
use crate::plan::{CLIENT_SUBNET, Nic, SERVICES, first_members};
use crate::process::Process;
use crate::stop::Stop;

const REQUESTS_PER_SECOND: u32 = 100;
/// Where the API listens, on the gateway's address towards the client.
const API_PORT: u16 = 8440;
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
    let api = SocketAddr::from((CLIENT_SUBNET.gateway_v4(), API_PORT));
    lab.daemon.listen_on(api);
    lab.daemon.start()?;
    lab.apply_and_wait(&first_members())?;
    let steady = Steady::start(&lab.topology.client, &SERVICES, REQUESTS_PER_SECOND)?;
    std::thread::scope(|scope| {
        let done = Arc::new(AtomicBool::new(false));
        let knocking = done.clone();
        let topology = lab.topology;
        scope.spawn(move || knock(topology, &knocking));
        let mut wanted = Command::new(program);
        wanted
            .args(arguments)
            .env("SLUICE_SOCKET", lab.daemon.socket())
            .env("SLUICE_SERVER", format!("https://{api}"))
            .env("SLUICE_DAEMON_LOG", lab.daemon.log_file());
        let outcome = watch(lab, &steady, &mut wanted);
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Waits for the command; ends it when the user asks to end.
fn watch(lab: &mut Laboratory<'_>, steady: &Steady, wanted: &mut Command) -> Result<ExitCode> {
    let child = lab.topology.client.spawn(wanted)?;
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
