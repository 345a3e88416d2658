//! Many services: what didn't change isn't computed again. `SLUICE_LONG=1` takes the largest configuration and prints
//! how long plans take.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{fmt::Write, time::Instant};

use common::Gateway;
use sluice_datapath::abi::Table;
use sluice_model::{Object, objects::Source};
use sluice_planner::{Plan, Step, facts::Health};

const BACKENDS: usize = 10;

fn services() -> usize {
    if std::env::var_os("SLUICE_LONG").is_some() { 10_000 } else { 100 }
}

fn yaml(services: usize) -> String {
    let mut yaml = "
apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec: {links: [{name: eth0}]}
"
    .to_owned();
    for service in 0..services {
        let (a, b) = (service / 250, service % 250 + 1);
        write!(
            yaml,
            "---\napiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: s{service}}}\nspec:\n  \
             {{address: 192.0.{a}.{b}, protocol: TCP, port: 80, mode: dsr, health: {{type: tcp}}, backends: ["
        )
        .unwrap();
        for backend in 1..=BACKENDS {
            write!(yaml, "{{address: 10.{a}.{b}.{backend}}}, ").unwrap();
        }
        yaml += "]}\n";
    }
    yaml
}

fn timed(name: &str, gateway: &mut Gateway) -> Plan {
    let start = Instant::now();
    let plan = gateway.plan().unwrap();
    let elapsed = start.elapsed();
    println!("{name}: {:.1} ms", elapsed.as_secs_f64() * 1000.0);
    gateway.carry_out(&plan);
    plan
}

fn writes(plan: &Plan) -> Vec<(Table, usize)> {
    let writes = plan.steps.iter().filter_map(|step| match step {
        Step::Write(write) => Some((write.table(), write.entries())),
        Step::ResetCounters { .. } => None,
        other => panic!("{other}"),
    });
    let mut sums = std::collections::BTreeMap::new();
    writes.for_each(|(table, entries)| *sums.entry(table).or_default() += entries);
    sums.into_iter().collect()
}

/// One backend, and so many slots with their clocks.
fn costs_at_most(found: &[(Table, usize)], slots: usize) -> bool {
    found.iter().all(|(table, entries)| match table {
        Table::Slots | Table::Moves => *entries <= slots,
        Table::Backends => *entries == 1,
        _ => false,
    })
}

#[test]
fn a_change_costs_what_it_concerns() {
    let count = services();
    let mut gateway = Gateway::new();
    gateway.objects = common::objects(&yaml(count));
    gateway.resolve();
    timed("all services are new", &mut gateway);
    let before = gateway.state.clone();
    assert!(timed("nothing changed", &mut gateway).steps.is_empty());

    gateway.set_health("s7", &[("10.0.8.3", 0, Health::Down)]);
    let plan = timed("a backend is down", &mut gateway);
    let found = writes(&plan);
    assert!(costs_at_most(&found, 140), "{found:?}");
    let same = |name: &str, before: &sluice_planner::State| {
        std::ptr::eq(before.service(name).unwrap(), gateway.state.service(name).unwrap())
    };
    assert!((0..count).all(|i| same(&format!("s{i}"), &before) == (i != 7)));

    let text = yaml(8).split("---").last().unwrap().replace("10.0.8.5", "10.0.8.99");
    let parsed = sluice_model::parse("one.yaml", &text).unwrap().remove(0);
    let Object::Service(_) = parsed.object else { panic!("no service") };
    gateway.objects.replace(parsed.object, Source::Api, None);
    let plan = timed("a backend is another", &mut gateway);
    let found = writes(&plan);
    assert!(costs_at_most(&found, 260), "{found:?}");

    gateway.resolve();
    timed("every next hop was read again", &mut gateway);
    gateway.restart();
    timed("a new daemon", &mut gateway);
    assert!(gateway.plan().unwrap().steps.is_empty());
}
