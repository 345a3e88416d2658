//! A gateway's life: what is configured is what packets meet.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{net::SocketAddr, time::Duration};

use common::{
    Gateway,
    frame::{ACK, SYN, tcp, udp},
};
use sluice_datapath::abi::{Features, Reason, Table};
use sluice_planner::{Plan, Step, facts::Health};

const GATEWAY: &str = "
apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec:
  links: [{name: eth0}]
  natPools: [{name: default, addresses: [10.0.1.250, fd00:1::250]}]
";

fn service(name: &str, address: &str, rest: &str) -> String {
    format!(
        "\n---\napiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  address: '{address}'\n{rest}"
    )
}

fn web(backends: &str) -> String {
    let rest = format!("  protocol: TCP\n  port: 80\n  mode: dsr\n  backends: [{backends}]\n");
    [GATEWAY.to_owned(), service("web", "192.0.2.10", &rest)].concat()
}

fn backends(count: u8) -> String {
    let one = |i| format!("{{address: 10.0.0.{i}}}");
    (1..=count).map(one).collect::<Vec<_>>().join(", ")
}

fn client(number: u16) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, (number >> 8) as u8], 10_000 + number))
}

fn at(address: &str) -> SocketAddr {
    address.parse().unwrap()
}

#[test]
fn nothing_configured_needs_nothing() {
    let gateway = Gateway::new();
    assert!(gateway.plan().unwrap().steps.is_empty());
}

#[test]
fn a_service_shares_its_flows_by_weight() {
    let gateway =
        Gateway::with(&web("{address: 10.0.0.1, weight: 1}, {address: 10.0.0.2, weight: 3}"));
    let mut counts = [0; 2];
    for number in 0..4000 {
        let outcome = gateway.send(&tcp(client(number), at("192.0.2.10:80"), SYN));
        assert_eq!(outcome.reason, Reason::SentEncapsulated);
        let address = gateway.backend(outcome.backend).unwrap().address.to_string();
        counts[usize::from(address.ends_with('2'))] += 1;
    }
    assert!((2850..3150).contains(&counts[1]), "{counts:?}");
    let other = gateway.send(&tcp(client(1), at("192.0.2.10:81"), SYN));
    assert_eq!(other.reason, Reason::PassNotService);
}

#[test]
fn only_what_is_configured_is_in_the_program() {
    let mut gateway = Gateway::with(GATEWAY);
    let features = |gateway: &Gateway| gateway.tables.settings.features.0;
    assert_eq!(features(&gateway), Features::EVENTS);
    gateway.configure(&web(&backends(1)));
    let dsr = Features::EVENTS | Features::SERVICE | Features::DSR;
    assert_eq!(features(&gateway), dsr);
    let nat = "  protocol: UDP\n  port: 53\n  mode: nat\n  affinity: source\n  allowedSources: ['fd00::/16']\n  backends: [{address: 'fd00::1'}]\n";
    gateway.configure(&[web(&backends(1)), service("dns", "2001:db8::53", nat)].concat());
    let more = Features::NAT | Features::IPV6 | Features::AFFINITY | Features::SOURCES;
    assert_eq!(features(&gateway), dsr | more);
    gateway.configure(&web(&backends(1)));
    assert_eq!(features(&gateway), dsr);
    // Denied sources must not hide behind a tag that the host strips.
    let prefilter = "---\napiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: p}\nspec: {deny: [203.0.113.0/24]}\n";
    gateway.configure(&[web(&backends(1)), prefilter.to_owned()].concat());
    assert_eq!(features(&gateway), dsr | Features::PREFILTER4 | Features::VLAN);
}

#[test]
fn ports_ranges_and_any_meet_their_services() {
    let of = |name: &str, port: &str, host: u8| {
        let rest = format!(
            "  protocol: UDP\n  port: {port}\n  mode: dsr\n  backends: [{{address: 10.0.0.{host}}}]\n"
        );
        service(name, "192.0.2.10", &rest)
    };
    let yaml = [GATEWAY.to_owned(), of("a", "any", 1), of("b", "8000-8100", 2), of("c", "8050", 3)]
        .concat();
    let gateway = Gateway::with(&yaml);
    for (port, host) in [(1, 1), (7999, 1), (8000, 2), (8050, 3), (8100, 2), (8101, 1)] {
        let outcome = gateway.send(&udp(client(1), SocketAddr::from(([192, 0, 2, 10], port))));
        let address = gateway.backend(outcome.backend).unwrap().address.to_string();
        assert_eq!(address, format!("10.0.0.{host}"), "port {port}");
    }
}

#[test]
fn translated_flows_reach_their_backend_and_come_back() {
    let nat = "  protocol: TCP\n  port: 80\n  mode: nat\n  allowedSources: [198.51.100.0/24]\n  backends: [{address: 10.0.0.1, port: 8080}]\n";
    let gateway = Gateway::with(&[GATEWAY, &service("web", "192.0.2.10", nat)].concat());
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::SentTranslated);
    let outcome = gateway.send(&tcp(at("203.0.113.1:1000"), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::DropSourceNotAllowed);
    // The pool address is known as such.
    let stray = gateway.send(&tcp(at("10.0.0.1:8080"), at("10.0.1.250:2000"), ACK));
    assert_eq!(stray.reason, Reason::PassNoMapping);
}

#[test]
fn a_service_without_backends_refuses() {
    let gateway = Gateway::with(&web(""));
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::DropNoBackend);
}

#[test]
fn probes_decide_who_serves() {
    let health = "  health: {type: tcp}\n";
    let yaml =
        |no_backend: &str| [web(&backends(2)), health.to_owned(), no_backend.to_owned()].concat();
    let mut gateway = Gateway::with(&yaml(""));
    let serving = |gateway: &Gateway| {
        let service = gateway.state.service("web").unwrap();
        service.backends.values().map(|backend| backend.slots > 0).collect::<Vec<_>>()
    };
    // Nothing is known of anybody: all serve.
    assert_eq!(serving(&gateway), [true, true]);
    gateway.set_health("web", &[("10.0.0.1", 0, Health::Up)]);
    gateway.converge();
    // One that served already goes on while nothing is known of it.
    assert_eq!(serving(&gateway), [true, true]);
    gateway.set_health("web", &[("10.0.0.1", 0, Health::Up), ("10.0.0.2", 0, Health::Down)]);
    gateway.converge();
    assert_eq!(serving(&gateway), [true, false]);
    gateway.set_health("web", &[("10.0.0.1", 0, Health::Down), ("10.0.0.2", 0, Health::Down)]);
    gateway.converge();
    assert_eq!(serving(&gateway), [false, false]);
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::DropNoBackend);
    gateway.configure(&yaml("  noBackend: keepAll\n"));
    assert_eq!(serving(&gateway), [true, true]);
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::SentEncapsulated);
}

#[test]
fn a_new_backend_waits_for_its_first_good_probe() {
    let yaml = |count| [web(&backends(count)), "  health: {type: tcp}\n".to_owned()].concat();
    let mut gateway = Gateway::with(&yaml(1));
    gateway.set_health("web", &[("10.0.0.1", 0, Health::Up)]);
    gateway.converge();
    gateway.configure(&yaml(2));
    let slots = |gateway: &Gateway| -> Vec<u32> {
        gateway
            .state
            .service("web")
            .unwrap()
            .backends
            .values()
            .map(|backend| backend.slots)
            .collect()
    };
    assert_eq!(slots(&gateway), [256, 0]);
    gateway.set_health("web", &[("10.0.0.1", 0, Health::Up), ("10.0.0.2", 0, Health::Up)]);
    gateway.converge();
    assert_eq!(slots(&gateway), [128, 128]);
}

#[test]
fn a_drained_backend_keeps_its_flows_until_its_deadline() {
    let mut gateway = Gateway::with(&web(&backends(2)));
    let vip = at("192.0.2.10:80");
    let flows: Vec<_> =
        (0..100).map(|n| (client(n), gateway.send(&tcp(client(n), vip, SYN)).backend)).collect();
    gateway.configure(&web("{address: 10.0.0.1, state: drain}, {address: 10.0.0.2}"));
    let new = |gateway: &Gateway| gateway.send(&tcp(client(500), vip, SYN)).backend;
    for _ in 0..4 {
        for (from, backend) in &flows {
            assert_eq!(gateway.send(&tcp(*from, vip, ACK)).backend, *backend);
        }
        assert_eq!(gateway.backend(new(&gateway)).unwrap().address.to_string(), "10.0.0.2");
        gateway.wait(Duration::from_secs(70));
        gateway.converge();
    }
    gateway.wait(Duration::from_secs(30));
    gateway.converge();
    let kept = new(&gateway);
    assert!(flows.iter().all(|(from, _)| gateway.send(&tcp(*from, vip, ACK)).backend == kept));
}

#[test]
fn a_removed_backend_keeps_its_id_as_long_as_somebody_may_remember_it() {
    let mut gateway = Gateway::with(&web(&backends(2)));
    let id = |gateway: &Gateway| {
        let backends = gateway.state.backends();
        backends
            .iter()
            .find(|(_, (_, at, _))| at.address.to_string() == "10.0.0.2")
            .map(|(id, _)| *id)
    };
    let first = id(&gateway);
    assert!(first.is_some());
    gateway.configure(&web(&backends(1)));
    assert_eq!(id(&gateway), first);
    gateway.configure(&web(&backends(2)));
    assert_eq!(id(&gateway), first);
    gateway.configure(&web(&backends(1)));
    for _ in 0..4 {
        gateway.wait(Duration::from_secs(301));
        gateway.converge();
    }
    assert_eq!(id(&gateway), None);
    assert!(!gateway.state.is_in_transition());
    gateway.configure(&web("{address: 10.0.0.1}, {address: 10.0.0.9}"));
    assert_eq!(gateway.backend(first.unwrap()).unwrap().address.to_string(), "10.0.0.9");
}

#[test]
fn a_removed_service_leaves_nothing_behind() {
    let mut gateway = Gateway::with(GATEWAY);
    let before = gateway.image();
    let all = [web(&backends(3)), service(
        "dns",
        "2001:db8::53",
        "  protocol: UDP\n  port: 50-60\n  mode: dsr\n  allowedSources: ['fd00::/16']\n  backends: [{address: 'fd00::1'}]\n",
    )].concat();
    gateway.configure(&all);
    gateway.configure(GATEWAY);
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::PassUnconfigured);
    assert!(gateway.state.is_in_transition());
    gateway.wait(Duration::from_secs(301));
    gateway.converge();
    assert!(!gateway.state.is_in_transition());
    let after = gateway.image();
    for table in [Table::Vip4, Table::Vip6, Table::Services, Table::ServiceNames, Table::Backends] {
        let words = after[&table].iter().enumerate();
        let used: Vec<_> = words.filter(|(_, word)| **word != 0).collect();
        assert!(used.is_empty(), "{table:?}: {used:?}");
    }
    assert_eq!(before[&Table::Vip4].len(), after[&Table::Vip4].len());
}

#[test]
fn tables_grow_under_flows() {
    let mut gateway = Gateway::with(&web(&backends(2)));
    let vip = at("192.0.2.10:80");
    let flows: Vec<_> =
        (0..50).map(|n| (client(n), gateway.send(&tcp(client(n), vip, SYN)).backend)).collect();
    let many: Vec<_> =
        (0..300_u32).map(|i| format!("{{address: 10.1.{}.{}}}", i / 200, i % 200 + 1)).collect();
    let more: String = (0..100)
        .map(|i| {
            service(
                &format!("s{i}"),
                &format!("203.0.113.{i}"),
                "  protocol: TCP\n  port: 80\n  mode: dsr\n  backends: [{address: 10.0.0.9}]\n",
            )
        })
        .collect();
    let plan = gateway.configure(&[web(&[backends(2), many.join(", ")].join(", ")), more].concat());
    let Some(Step::Grow(grow)) = plan.steps.first() else { panic!("{:?}", plan.steps.first()) };
    let grown: Vec<_> = grow.tables.iter().map(|(table, _)| *table).collect();
    for table in [Table::Vip4, Table::Services, Table::Slots, Table::Moves, Table::Backends] {
        assert!(grown.contains(&table), "{table:?} is not in {grown:?}");
    }
    for (from, backend) in flows {
        assert_eq!(gateway.send(&tcp(from, vip, ACK)).backend, backend);
    }
    let outcome = gateway.send(&tcp(client(1), at("203.0.113.77:80"), SYN));
    assert_eq!(gateway.backend(outcome.backend).unwrap().address.to_string(), "10.0.0.9");
}

#[test]
fn prefixes_change_and_their_tables_grow() {
    let prefilter = |deny: &[String], allow: &str| {
        let deny = deny.join(", ");
        format!(
            "{GATEWAY}\n---\napiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {{name: list}}\nspec:\n  deny: [{deny}]\n  allow: [{allow}]\n"
        )
    };
    let list = |count: u32| {
        (0..count).map(|i| format!("10.{}.{}.0/24", i / 256, i % 256)).collect::<Vec<_>>()
    };
    let mut gateway = Gateway::with(&prefilter(&list(3), "10.0.1.7/32"));
    let reason = |gateway: &Gateway, from: &str| {
        gateway.send(&tcp(at(from), at("192.0.2.10:80"), SYN)).reason
    };
    let check = |gateway: &Gateway, last: &str| {
        assert_eq!(reason(gateway, "10.0.1.1:1"), Reason::DropDenied);
        assert_eq!(reason(gateway, "10.0.1.7:1"), Reason::PassUnconfigured);
        assert_eq!(reason(gateway, last), Reason::DropDenied);
        assert_eq!(reason(gateway, "10.200.0.1:1"), Reason::PassUnconfigured);
    };
    check(&gateway, "10.0.2.1:1");
    // Each time the other half; the last two times the tables grow, from either half.
    for count in [3, 4, 5, 3000, 20_000] {
        gateway.configure(&prefilter(&list(count), "10.0.1.7/32"));
        let last = count - 1;
        check(&gateway, &format!("10.{}.{}.1:1", last / 256, last % 256));
    }
    gateway.configure(GATEWAY);
    assert_eq!(reason(&gateway, "10.0.1.1:1"), Reason::PassUnconfigured);
}

#[test]
fn a_link_that_left_the_configuration_loses_its_program() {
    let mut gateway = Gateway::with(GATEWAY);
    assert!(gateway.facts.links["eth0"].program.is_some());
    gateway.configure("");
    assert!(gateway.facts.links["eth0"].program.is_none());
}

#[test]
fn a_pool_address_that_takes_the_number_of_another_starts_without_records() {
    let yaml = |address: &str| {
        let nat = "  protocol: TCP\n  port: 80\n  mode: nat\n  backends: [{address: 10.0.0.1}]\n";
        [&GATEWAY.replace("10.0.1.250", address), service("web", "192.0.2.10", nat).as_str()]
            .concat()
    };
    let mut gateway = Gateway::with(&yaml("10.0.1.250"));
    assert_eq!(gateway.forgotten, [0_u32; 0]);
    gateway.configure(&yaml("10.0.1.251"));
    assert_eq!(gateway.forgotten, [0]);
    let outcome = gateway.send(&tcp(client(1), at("192.0.2.10:80"), SYN));
    assert_eq!(outcome.reason, Reason::SentTranslated);
}

#[test]
fn programs_are_loaded_once_in_a_change() {
    let loads = |plan: &Plan| {
        plan.steps
            .iter()
            .map(|step| match step {
                Step::Grow(grow) => grow.programs.len(),
                Step::Attach { .. } => 1,
                _ => 0,
            })
            .sum::<usize>()
    };
    let mut gateway = Gateway::with(GATEWAY);
    // Tables that grow and features that come on: the programs of the growth can do it already.
    let plan = gateway.configure(&web(&backends(2)));
    assert!(plan.steps.iter().any(|step| matches!(step, Step::Grow(_))));
    assert_eq!(loads(&plan), 1, "{:#?}", plan.steps);
    // What is left out afterwards needs programs without it.
    assert_eq!(loads(&gateway.configure(GATEWAY)), 1);
    // Features that come on in tables that are large enough.
    assert_eq!(loads(&gateway.configure(&web(&backends(2)))), 1);
}
