//! `control`: how long changes take from the request to the tables, and what the daemon needs.

mod daemon;

use self::daemon::Daemon;
use crate::{machine::Machine, packet, record::Record, statistics::Summary};
use anyhow::Result;
use std::{fmt::Write, path::Path, time::Duration};

/// Services of the large configuration, and backends of each.
const SERVICES: usize = 10_000;
const BACKENDS: usize = 10;
const PREFIXES: usize = 1_000_000;
/// Changes that are timed.
const CHANGES: usize = 100;
const PREFIX_CHANGES: usize = 20;

/// Measures and prints; the records.
///
/// # Errors
/// When the daemon does not do what it must.
pub fn run(programs: &Path, only: Option<&str>, machine: &Machine) -> Result<Vec<Record>> {
    if let Some(why) = packet::obstacle() {
        println!("skipped: {why}");
        return Ok(Vec::new());
    }
    let mut results = Results { machine, records: Vec::new() };
    let is_wanted = |name: &str| only.is_none_or(|only| name.contains(only));
    if is_wanted("services") {
        services(programs, &mut results)?;
    }
    if is_wanted("prefixes") {
        prefixes(programs, &mut results)?;
    }
    Ok(results.records)
}

struct Results<'a> {
    machine: &'a Machine,
    records: Vec<Record>,
}

impl Results<'_> {
    fn add(&mut self, case: &str, unit: &str, figures: &[f64]) {
        let summary = Summary::of(figures);
        println!(
            "  {case:32} {:10.2} {unit} (p10 {:.2}, p90 {:.2}, {} times)",
            summary.median,
            summary.p10,
            summary.p90,
            figures.len()
        );
        self.records.push(Record {
            suite: "control".to_owned(),
            case: case.to_owned(),
            program: "sluice".to_owned(),
            unit: unit.to_owned(),
            summary,
            rounds: figures.len(),
            floor: None,
            ratio: None,
            machine: self.machine.clone(),
        });
    }

    fn add_time(&mut self, case: &str, times: &[Duration]) {
        let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
        self.add(case, "ms", &times);
    }
}

/// Many services: loading them, one change among them, memory, taking over.
fn services(programs: &Path, results: &mut Results<'_>) -> Result<()> {
    let mut daemon = Daemon::prepare(programs)?;
    results.add_time("start/empty", &[daemon.start()?]);
    results.add("memory/empty", "MB", &[daemon.own_memory()? / 1e6]);
    let yaml: String = (0..SERVICES).map(|service| service_yaml(service, BACKENDS)).collect();
    results.add_time("load/services/10000x10", &[daemon.change("POST", "/v1/apply", &yaml)?]);
    // The next probes and plans are done.
    std::thread::sleep(Duration::from_secs(2));
    results.add("memory/services/10000x10", "MB", &[daemon.own_memory()? / 1e6]);
    let (resident, most) = daemon.memory()?;
    results.add("memory-with-tables/services/10000x10", "MB", &[resident / 1e6]);
    results.add("memory-at-most/services/10000x10", "MB", &[most / 1e6]);

    let mut times = Vec::new();
    for change in 0..CHANGES {
        let service = change * 97 % SERVICES;
        // One of its ten backends leaves.
        let patch = format!(
            "{{\"spec\": {{\"backends\": [{}]}}}}",
            (1..BACKENDS)
                .map(|backend| format!(
                    "{{\"address\": \"{}\"}}",
                    backend_address(service, backend)
                ))
                .collect::<Vec<_>>()
                .join(", ")
        );
        times.push(daemon.change("PATCH", &format!("/v1/services/s{service}"), &patch)?);
    }
    results.add_time("change/backend/100000", &times);
    let p99 = {
        let mut sorted: Vec<f64> = times.iter().map(Duration::as_secs_f64).collect();
        sorted.sort_by(f64::total_cmp);
        crate::statistics::quantile(&sorted, 0.99) * 1000.0
    };
    results.add("change-p99/backend/100000", "ms", &[p99]);
    daemon.stop()?;
    results.add_time("takeover/services/10000x10", &[daemon.start()?]);
    Ok(())
}

fn backend_address(service: usize, backend: usize) -> String {
    let number = service * 16 + backend;
    format!("10.{}.{}.{}", 1 + (number >> 16), number >> 8 & 255, number & 255)
}

fn service_yaml(service: usize, backends: usize) -> String {
    let (a, b) = (service / 250, service % 250 + 1);
    let mut yaml = format!(
        "---\napiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: s{service}}}\nspec:\n  \
         {{address: 198.18.{a}.{b}, protocol: TCP, port: 80, mode: dsr, backends: ["
    );
    for backend in 0..backends {
        let _ = write!(yaml, "{{address: {}}}, ", backend_address(service, backend));
    }
    yaml + "]}\n"
}

/// A long list of prefixes: loading it, and one more or less.
fn prefixes(programs: &Path, results: &mut Results<'_>) -> Result<()> {
    let mut daemon = Daemon::prepare(programs)?;
    daemon.start()?;
    let mut yaml = prefilter_yaml("large");
    // One is left for the change.
    for (address, bits) in packet::prefixes(PREFIXES - 1, 0) {
        let _ = writeln!(yaml, "  - '{address}/{bits}'");
    }
    results.add_time("load/prefixes/1000000", &[daemon.change("POST", "/v1/apply", &yaml)?]);
    results.add("memory/prefixes/1000000", "MB", &[daemon.own_memory()? / 1e6]);
    let mut times = Vec::new();
    for change in 0..PREFIX_CHANGES {
        let yaml = prefilter_yaml("single") + &format!("  - '203.0.113.{change}/32'\n");
        times.push(daemon.change("PUT", "/v1/prefilters/single?force=true", &yaml)?);
    }
    results.add_time("change/prefix/1000000", &times);
    Ok(())
}

fn prefilter_yaml(name: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {{name: {name}}}\nspec:\n  deny:\n"
    )
}
