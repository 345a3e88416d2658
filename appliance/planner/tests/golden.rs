//! Plans as files: `golden/NAME.yaml` tells the stages of a gateway's life, `golden/NAME.txt` what was planned and what
//! the tables hold after each. `SLUICE_BLESS=1 cargo test` writes the latter anew: read the difference before you keep
//! it.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use common::Gateway;
use serde::Deserialize;
use sluice_datapath::abi::{Backend, Service, Table, VipLine, ip_address};
use sluice_planner::facts::Health;

/// One stage of a case; what is absent stays as it was.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[derive(Default)]
struct Stage {
    /// Seconds that pass before.
    wait: u64,
    /// All objects.
    config: Option<String>,
    /// What probes say: service, address, `up` or `down`.
    health: BTreeMap<String, BTreeMap<String, String>>,
    /// Ports of the backends in `health`.
    port: u16,
    /// Why an address has no next hop.
    unreachable: BTreeMap<IpAddr, String>,
    /// VLAN ids of next hops.
    vlan: BTreeMap<IpAddr, u16>,
    /// Why the driver refuses the program.
    native_refused: Option<String>,
    /// Links beside `eth0`.
    links: Vec<String>,
    /// A new daemon starts.
    restart: bool,
}

fn run(gateway: &mut Gateway, stage: Stage) -> String {
    if stage.restart {
        gateway.restart();
    }
    gateway.wait(Duration::from_secs(stage.wait));
    for (service, backends) in &stage.health {
        let health = |word: &str| match word {
            "up" => Health::Up,
            "down" => Health::Down,
            other => panic!("{other} is no health"),
        };
        let all: Vec<_> =
            backends.iter().map(|(at, word)| (at.as_str(), stage.port, health(word))).collect();
        gateway.set_health(service, &all);
    }
    for (number, link) in (10..).zip(stage.links) {
        let facts = gateway.facts.links["eth0"].clone();
        gateway.facts.links.insert(
            link,
            sluice_planner::facts::LinkFacts { ifindex: number, program: None, ..facts },
        );
    }
    if stage.native_refused.is_some() {
        gateway.facts.links.get_mut("eth0").unwrap().native_refused = stage.native_refused;
    }
    if let Some(config) = &stage.config {
        gateway.objects = common::objects(config);
        gateway.resolve();
    }
    let ways = &mut gateway.facts.ways;
    for (address, why) in stage.unreachable {
        ways.insert(address, Err(why));
    }
    for (address, id) in stage.vlan {
        ways.insert(
            address,
            Ok(sluice_planner::facts::NextHop { vlan: Some(id), ..common::next_hop(address) }),
        );
    }
    match gateway.plan() {
        Err(error) => format!("refused: {error}\n"),
        Ok(plan) => {
            gateway.converge();
            format!("{}\n{}", plan.report(), tables(gateway))
        }
    }
}

/// What the tables hold, for people.
fn tables(gateway: &Gateway) -> String {
    let mut text = String::new();
    for (name, service) in gateway.state.services() {
        let entry = gateway.tables.entry::<Service>(Table::Services, service.index).unwrap();
        let pool = &entry.pool;
        writeln!(
            text,
            "service {name}: index {}, slots {}+{} ({} moving), flags {}, sources {}+{}, idle {}, grace {}, pool {}+{} sets {}+{}",
            service.index, service.slots.base, service.slot_count(), service.moving, entry.flags.0, entry.sources,
            entry.source_count, entry.idle_ticks, entry.grace_ticks, pool.first, pool.addresses, pool.set_low,
            pool.set_count,
        )
        .unwrap();
        for (endpoint, backend) in &service.backends {
            let record = gateway.tables.entry::<Backend>(Table::Backends, backend.id).unwrap();
            let removed = if backend.is_removed { "removed, " } else { "" };
            let tunnel = ip_address(record.tunnel_source, endpoint.address.is_ipv6());
            writeln!(
                text,
                "  {endpoint}: id {}, {removed}{}, {} slots, flags {}, port {}, length {}, vlan {}, from {tunnel}",
                backend.id, backend.condition.as_str(), backend.slots, record.flags.0, record.port, record.max_length,
                u16::from_be(record.vlan),
            )
            .unwrap();
        }
    }
    for (table, v6) in [(Table::Vip4, false), (Table::Vip6, true)] {
        for index in 0..gateway.state.sizes().get(table) {
            let line = gateway.tables.entry::<VipLine>(table, index).unwrap();
            if line.flags.0 != 0 {
                let ports = line.ports.iter().filter(|port| port.key != 0);
                let ports: String =
                    ports.map(|port| format!(" {:x}>{}", port.key, port.service)).collect();
                let (address, flags) = (ip_address(line.address, v6), line.flags.0);
                let (ranges, count, nat) = (line.ranges, line.range_count, line.nat);
                writeln!(text, "address {address}: flags {flags}, ports{ports}, ranges {ranges}+{count}, nat {nat}").unwrap();
            }
        }
    }
    let (v4, v6) = gateway.state.prefixes();
    writeln!(text, "prefixes: {v4} IPv4, {v6} IPv6").unwrap();
    writeln!(text, "{:?}", gateway.tables.settings).unwrap();
    text
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut cases: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    cases.sort();
    cases
}

#[test]
fn plans_are_as_the_files_say() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in cases {
        let stages: Vec<Stage> =
            serde_saphyr::from_str(&fs::read_to_string(&case).unwrap()).unwrap();
        let mut gateway = Gateway::new();
        let results: Vec<_> = stages.into_iter().map(|stage| run(&mut gateway, stage)).collect();
        let numbered =
            (1..).zip(results).map(|(number, text)| format!("--- stage {number}\n{text}"));
        let found: String = numbered.collect();
        let file = case.with_extension("txt");
        if std::env::var_os("SLUICE_BLESS").is_some() {
            fs::write(&file, found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        let line = found.lines().zip(expected.lines()).position(|(a, b)| a != b);
        assert!(
            found == expected,
            "{} differs from line {:?} on; found:\n{found}",
            file.display(),
            line.map(|n| n + 1)
        );
    }
}
