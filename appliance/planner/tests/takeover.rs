//! A new daemon finds a running datapath and changes nothing that is right.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{collections::BTreeMap, time::Duration};

use common::{
    Gateway,
    frame::{ACK, SYN, tcp, udp},
};
use sluice_datapath::abi::Table;
use sluice_planner::{State, Step, facts::Health};

const YAML: &str = "
apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec:
  links: [{name: eth0}]
  natPools: [{name: default, addresses: [10.0.1.250, 10.0.1.251, fd00:1::250]}]
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: web}
spec:
  address: 192.0.2.10
  protocol: TCP
  port: 80
  mode: dsr
  allowedSources: [198.51.100.0/24, 203.0.113.0/24]
  health: {type: tcp}
  backends:
    - {address: 10.0.0.1, weight: 3}
    - {address: 10.0.0.2, weight: 2}
    - {address: 10.0.0.3, weight: 2}
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: any}
spec:
  address: 192.0.2.10
  protocol: UDP
  port: any
  mode: nat
  backends: [{address: 10.0.0.1}]
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: range}
spec:
  address: 192.0.2.10
  protocol: UDP
  port: 5000-6000
  mode: nat
  backends: [{address: 10.0.0.1}, {address: 10.0.0.2, port: 53}]
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: six}
spec:
  address: 2001:db8::10
  protocol: TCP
  port: 443
  mode: nat
  backends: [{address: 'fd00::1', port: 8443}]
---
apiVersion: sluice.dev/v1
kind: Prefilter
metadata: {name: list}
spec:
  deny: [10.9.0.0/16, '2001:db8:bad::/48']
  allow: [10.9.1.0/24]
";

fn gateway() -> Gateway {
    let mut gateway = Gateway::with(YAML);
    let up = |address| (address, 0, Health::Up);
    gateway.set_health("web", &[up("10.0.0.1"), up("10.0.0.2"), ("10.0.0.3", 0, Health::Down)]);
    gateway.converge();
    gateway
}

/// What the datapath reads; the prefilter is built anew into the other half, and clocks are the datapath's own.
fn image(gateway: &Gateway) -> BTreeMap<Table, Vec<u64>> {
    let mut image = gateway.image();
    image.retain(|table, _| {
        use Table::*;
        !matches!(
            table,
            PrefilterControl
                | Prefilter4Header
                | Prefilter4Bitmap
                | Prefilter4Lines
                | Prefilter6Header
                | Prefilter6Bitmap
                | Prefilter6Lines
                | Remembered
                | Fragments
                | NatTags
                | NatRecords
        )
    });
    // Padding.
    image
        .get_mut(&Table::Services)
        .unwrap()
        .iter_mut()
        .skip(7)
        .step_by(8)
        .for_each(|word| *word = 0);
    image
}

#[test]
fn a_restart_writes_nothing_that_differs() {
    let mut gateway = gateway();
    let before = image(&gateway);
    // The new daemon has probed nobody yet.
    std::sync::Arc::make_mut(&mut gateway.facts.services).clear();
    gateway.restart();
    let plan = gateway.converge();
    assert!(plan.steps.iter().all(|step| matches!(step, Step::Write(_))), "{:#?}", plan.steps);
    let after = image(&gateway);
    for (table, words) in before {
        assert_eq!(words, after[&table], "{table:?}");
    }
}

#[test]
fn a_restart_in_the_middle_of_a_change_breaks_no_flow() {
    let mut gateway = gateway();
    let vip = "192.0.2.10:80".parse().unwrap();
    let client = |n: u8| std::net::SocketAddr::from(([198, 51, 100, n], 4000));
    let flows: Vec<_> =
        (0..200).map(|n| (client(n), gateway.send(&tcp(client(n), vip, SYN)).backend)).collect();
    gateway.configure(
        &YAML.replace("{address: 10.0.0.2, weight: 2}", "{address: 10.0.0.4, weight: 1}"),
    );
    gateway.restart();
    gateway.converge();
    gateway.configure(&YAML.replace("10.0.0.2, weight: 2", "10.0.0.2, weight: 9"));
    gateway.restart();
    gateway.converge();
    for (from, backend) in flows {
        assert_eq!(gateway.send(&tcp(from, vip, ACK)).backend, backend);
    }
}

#[test]
fn the_state_that_was_read_is_the_state_that_was_left() {
    let mut gateway = gateway();
    let before = gateway.state.clone();
    gateway.restart();
    let of = |state: &State| -> Vec<_> {
        let of_service = |(name, service): (&sluice_model::Name, &_)| {
            let service: &sluice_planner::stages::service::state::ServiceState = service;
            let backends: Vec<_> = service
                .backends
                .iter()
                .map(|(at, b)| (*at, b.id, b.slots, b.condition.is_gone()))
                .collect();
            (name.clone(), service.index, service.slots, service.moving, backends)
        };
        state.services().map(of_service).collect()
    };
    assert_eq!(of(&before), of(&gateway.state));
    assert!(before.pool_numbers().eq(gateway.state.pool_numbers()));
    gateway.converge();
    assert_eq!(before.prefixes(), gateway.state.prefixes());
}

#[test]
fn ports_stay_with_their_services() {
    let mut gateway = gateway();
    let from = "198.51.100.1:99".parse().unwrap();
    let services = |gateway: &Gateway| -> Vec<u32> {
        ["192.0.2.10:53", "192.0.2.10:5000", "192.0.2.10:6001"]
            .iter()
            .map(|to| gateway.send(&udp(from, to.parse().unwrap())).service)
            .collect()
    };
    let before = services(&gateway);
    assert!(before[0] == before[2] && before[0] != before[1]);
    gateway.restart();
    gateway.converge();
    assert_eq!(services(&gateway), before);
}

#[test]
fn a_service_without_a_name_is_forgotten() {
    let mut gateway = gateway();
    let index = gateway.state.service("six").unwrap().index;
    for word in &gateway.tables.words(Table::ServiceNames)[index as usize * 8..][..8] {
        word.set(0);
    }
    gateway.restart();
    gateway.converge();
    assert_ne!(gateway.state.service("six").unwrap().index, index);
    gateway.wait(Duration::from_secs(400));
    gateway.converge();
    assert!(!gateway.state.is_in_transition());
    gateway.configure(&YAML.replace("name: six", "name: other"));
    assert_eq!(gateway.state.service("other").unwrap().index, index);
}

#[test]
fn tampering_is_healed_and_times_are_kept() {
    let mut gateway = gateway();
    gateway.configure(
        &YAML.replace(
            "{address: 10.0.0.2, weight: 2}",
            "{address: 10.0.0.2, weight: 2, state: drain}",
        ),
    );
    let right = image(&gateway);
    let before = gateway.state.clone();
    gateway.wait(Duration::from_secs(200));
    for table in [Table::Vip4, Table::Backends, Table::Slots] {
        let words = gateway.tables.words(table);
        let at = words.iter().position(|word| word.get() != 0).unwrap();
        // The address of a line, a slot's backend, a backend's address.
        words[at].set(if table == Table::Slots { 77 } else { 0 });
    }
    gateway.restart();
    gateway.state.remember(&before);
    gateway.converge();
    for table in [Table::Vip4, Table::Backends] {
        // The lost line has left a tombstone and stands elsewhere.
        let lost = |words: &[u64]| words.iter().filter(|word| **word != 0).count();
        assert!(lost(&image(&gateway)[&table]) >= lost(&right[&table]), "{table:?}");
    }
    gateway.wait(Duration::from_secs(101));
    gateway.converge();
    let service = gateway.state.service("web").unwrap();
    let drained = service.backends.iter().find(|(at, _)| at.address.to_string() == "10.0.0.2");
    assert!(drained.unwrap().1.condition.is_gone(), "drained for 301 s of 300 s");
}
