//! `sluice-lab run`: traffic, and a table that is redrawn every second until Ctrl-C.

mod picture;
mod screen;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::picture::{Picture, Row};
use self::screen::Screen;
use crate::client::{Break, Hold, Record, Steady, get_from, run_in};
use crate::gateway::Programs;
use crate::laboratory::{self, Laboratory, Site};
use crate::plan::{BACKENDS, DENIED_SOURCES, Nic, SERVICES, first_members};
use crate::stop::Stop;
use crate::topology::Topology;

const REQUESTS_PER_SECOND: u32 = 200;
const LONG_CONNECTIONS: usize = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// Builds the laboratory, shows the traffic until Ctrl-C, and takes everything away.
pub(crate) fn run(programs: &Programs, ebpf: &Path, nic: Nic) -> Result<ExitCode> {
    if let Some(why) = laboratory::obstacle() {
        bail!("{why}: run it as root");
    }
    let stop = Stop::on_signals()?;
    println!("building the laboratory");
    let mut site = Site::build(programs, ebpf, nic)?;
    let mut lab = site.open(stop)?;
    let outcome = show(&mut lab);
    println!("taking the laboratory away");
    drop(lab);
    drop(site);
    outcome.map(|()| ExitCode::SUCCESS)
}

fn show(lab: &mut Laboratory<'_>) -> Result<()> {
    lab.daemon.start()?;
    let ready = lab.apply_and_wait(&first_members());
    if lab.stop.requested() {
        return Ok(());
    }
    ready?;
    let steady = Steady::start(&lab.topology.client, &SERVICES, REQUESTS_PER_SECOND)?;
    let hold = Hold::start(&lab.topology.client, &SERVICES, LONG_CONNECTIONS)?;
    std::thread::scope(|scope| {
        let done = Arc::new(AtomicBool::new(false));
        let knocking = done.clone();
        let topology = lab.topology;
        scope.spawn(move || knock(topology, &knocking));
        let outcome = watch(lab, &steady, &hold);
        done.store(true, Ordering::Relaxed);
        outcome
    })
}

fn watch(lab: &mut Laboratory<'_>, steady: &Steady, hold: &Hold) -> Result<()> {
    let mut totals = Totals::default();
    let mut screen = Screen::default();
    while !lab.stop.requested() {
        lab.stop.wait(PERIOD);
        lab.daemon.assert_running()?;
        totals.add(steady.take(), hold.take_breaks());
        screen.show(&totals.picture(lab, hold).lines());
    }
    Ok(())
}

/// A client that the prefilter denies tries again and again.
pub(crate) fn knock(topology: &Topology, done: &AtomicBool) {
    for source in DENIED_SOURCES.into_iter().cycle() {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let same_family = |address: IpAddr| address.is_ipv4() == source.is_ipv4();
        if let Some(service) = SERVICES.iter().find(|service| same_family(service.address)) {
            // It is denied, so the outcome is known.
            let _ = run_in(&topology.client, || {
                get_from((source, 0).into(), service.socket_address(), "/", PERIOD / 2)
            });
        }
    }
}

/// Everything seen since the start, and the last second on its own.
struct Totals {
    started: Instant,
    last: Instant,
    answers: BTreeMap<(&'static str, String), u64>,
    recent: BTreeMap<(&'static str, String), u64>,
    failures: BTreeMap<&'static str, u64>,
    last_failure: Option<String>,
    broken: u64,
    seconds: f64,
    packets: BTreeMap<(String, String), u64>,
}

impl Default for Totals {
    fn default() -> Self {
        let now = Instant::now();
        Totals {
            started: now,
            last: now,
            answers: BTreeMap::new(),
            recent: BTreeMap::new(),
            failures: BTreeMap::new(),
            last_failure: None,
            broken: 0,
            seconds: 1.0,
            packets: BTreeMap::new(),
        }
    }
}

impl Totals {
    fn add(&mut self, records: Vec<Record>, breaks: Vec<Break>) {
        let now = Instant::now();
        self.seconds = now.duration_since(self.last).as_secs_f64().max(0.001);
        self.last = now;
        self.recent.clear();
        for record in records {
            match record.outcome {
                Ok(backend) => {
                    let key = (record.service.name, backend);
                    *self.recent.entry(key.clone()).or_default() += 1;
                    *self.answers.entry(key).or_default() += 1;
                }
                Err(why) => {
                    *self.failures.entry(record.service.name).or_default() += 1;
                    self.last_failure = Some(format!("{}: {why}", record.service.name));
                }
            }
        }
        self.broken += breaks.len() as u64;
    }

    fn picture(&mut self, lab: &Laboratory<'_>, hold: &Hold) -> Picture {
        let sluice = lab.daemon.sluice();
        // What the daemon does not answer in this second is shown as its words, and asked again in the next.
        let mut trouble = self.last_failure.clone();
        let mut ask = |error: anyhow::Error| trouble = Some(format!("{error:#}"));
        let backends = sluice.backends().map_err(&mut ask).unwrap_or_default();
        let links = sluice.links().map_err(&mut ask).unwrap_or_default();
        let drops = sluice.drops().map_err(&mut ask).unwrap_or_default();

        let mut packet_rates: BTreeMap<String, f64> = BTreeMap::new();
        for backend in &backends {
            let key = (backend.service.clone(), backend.address.clone());
            let before = self.packets.insert(key, backend.packets).unwrap_or(backend.packets);
            let rate = backend.packets.saturating_sub(before) as f64 / self.seconds;
            *packet_rates.entry(backend.service.clone()).or_default() += rate;
        }
        let rows = SERVICES.map(|service| Row {
            service,
            backends: BACKENDS
                .map(|backend| {
                    let key = (service.name, backend.to_string());
                    let total = self.answers.get(&key).copied().unwrap_or(0);
                    let recent = self.recent.get(&key).copied().unwrap_or(0);
                    let address = backend.address(service.backend_family).to_string();
                    let known = backends
                        .iter()
                        .find(|known| known.service == service.name && known.address == address);
                    picture::Cell {
                        total,
                        rate: recent as f64 / self.seconds,
                        state: known.map(|known| known.state.clone()),
                    }
                })
                .to_vec(),
            packets_per_second: packet_rates.get(service.name).copied().unwrap_or(0.0),
            failures: self.failures.get(service.name).copied().unwrap_or(0),
        });
        Picture {
            uptime: self.started.elapsed(),
            rows: rows.to_vec(),
            long_connections: hold.count() as u64,
            broken: self.broken,
            streamed_bytes: hold.received_bytes(),
            links,
            drops,
            trouble,
            directions: lab.directions(),
        }
    }
}
