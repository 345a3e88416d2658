//! Random lives of a gateway, with flows that run through the real stages: no flow of a backend that lives and is not
//! past its deadline ever moves.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

mod common;

use std::{collections::BTreeSet, fmt::Write, net::SocketAddr, time::Duration};

use common::{
    Gateway,
    frame::{ACK, SYN, tcp, udp},
};
use proptest::prelude::*;
use sluice_datapath::abi::Reason;
use sluice_planner::facts::{Endpoint, Health};

const BACKENDS: usize = 6;
const FLOWS: u16 = 40;

#[derive(Clone, Copy, Debug)]
struct Backend {
    is_listed: bool,
    weight: u16,
    state: &'static str,
    health: Health,
}

#[derive(Clone, Debug)]
enum Step {
    Configure(Vec<Backend>),
    /// A daemon starts anew.
    Restart,
    Wait(u64),
    Send(u16),
}

struct World {
    gateway: Gateway,
    mode: &'static str,
    backends: Vec<Backend>,
    /// Backend and time of the last packet of each flow.
    flows: Vec<Option<(Endpoint, u64)>>,
    seconds: u64,
}

impl World {
    fn new(mode: &'static str) -> Self {
        Self {
            gateway: Gateway::new(),
            mode,
            backends: Vec::new(),
            flows: vec![None; FLOWS.into()],
            seconds: 0,
        }
    }

    fn yaml(&self) -> String {
        let mut yaml = "
apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec:
  links: [{name: eth0}]
  natPools: [{name: default, addresses: [10.0.1.250]}]
"
        .to_owned();
        for protocol in ["TCP", "UDP"] {
            let name = protocol.to_lowercase();
            write!(
                yaml,
                "---\napiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  address: 192.0.2.10\n  \
                 protocol: {protocol}\n  port: 80\n  mode: {}\n  idleTimeout: 40s\n  drainTimeout: 100s\n  \
                 health: {{type: tcp, port: 80}}\n  backends: [",
                self.mode
            )
            .unwrap();
            for (i, backend) in
                self.backends.iter().enumerate().filter(|(_, backend)| backend.is_listed)
            {
                let Backend { weight, state, .. } = backend;
                write!(yaml, "{{address: 10.0.0.{}, weight: {weight}, state: {state}}}, ", i + 1)
                    .unwrap();
            }
            yaml += "]\n";
        }
        yaml
    }

    fn configure(&mut self, backends: Vec<Backend>) {
        self.backends = backends;
        let port = if self.mode == "nat" { 80 } else { 0 };
        let names: Vec<String> = (1..=BACKENDS).map(|i| format!("10.0.0.{i}")).collect();
        let health: Vec<_> = names
            .iter()
            .zip(&self.backends)
            .map(|(name, b)| (name.as_str(), port, b.health))
            .collect();
        self.gateway.set_health("tcp", &health);
        self.gateway.set_health("udp", &health);
        let yaml = self.yaml();
        self.gateway.configure(&yaml);
        self.lose();
    }

    /// Flows of backends that are gone are lost.
    fn lose(&mut self) {
        let backends = self.gateway.state.backends();
        let gone: BTreeSet<Endpoint> = backends
            .values()
            .filter(|(_, _, b)| b.condition.is_gone())
            .map(|(_, at, _)| **at)
            .collect();
        let known: BTreeSet<Endpoint> = backends.values().map(|(_, at, _)| **at).collect();
        for flow in &mut self.flows {
            if flow.is_some_and(|(at, _)| gone.contains(&at) || !known.contains(&at)) {
                *flow = None;
            }
        }
    }

    fn send(&mut self, number: u16) -> Result<(), TestCaseError> {
        let from = SocketAddr::from(([198, 51, 100, number as u8], 1000 + number * 7));
        let to = "192.0.2.10:80".parse().unwrap();
        let is_udp = number.is_multiple_of(3);
        // A UDP flow counts as alive for the grace time of a change, 30 s.
        let limit = if is_udp { 29 } else { 39 };
        let old = self.flows[usize::from(number)].filter(|(_, at)| self.seconds - at <= limit);
        let flags = if old.is_some() { ACK } else { SYN };
        let frame = if is_udp { udp(from, to) } else { tcp(from, to, flags) };
        let outcome = self.gateway.send(&frame);
        let backend = self.gateway.backend(outcome.backend);
        if let Some((expected, _)) = old {
            prop_assert_eq!(backend, Some(expected), "flow {} ({:?})", number, outcome.reason);
        }
        let is_sent = matches!(outcome.reason, Reason::SentEncapsulated | Reason::SentTranslated);
        self.flows[usize::from(number)] =
            backend.filter(|_| is_sent).map(|backend| (backend, self.seconds));
        Ok(())
    }

    fn run(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Configure(backends) => self.configure(backends),
            Step::Restart => {
                let before = self.gateway.state.clone();
                self.gateway.restart();
                self.gateway.state.remember(&before);
                self.gateway.converge();
            }
            Step::Wait(seconds) => {
                self.seconds += seconds;
                self.gateway.wait(Duration::from_secs(seconds));
                self.gateway.converge();
                self.lose();
            }
            Step::Send(number) => return self.send(number),
        }
        Ok(())
    }
}

fn backend() -> impl Strategy<Value = Backend> {
    let state = prop_oneof![6 => Just("active"), 2 => Just("drain"), 1 => Just("disabled")];
    let health =
        prop_oneof![6 => Just(Health::Up), 1 => Just(Health::Down), 1 => Just(Health::Unknown)];
    (prop::bool::weighted(0.7), 0_u16..4, state, health)
        .prop_map(|(is_listed, weight, state, health)| Backend { is_listed, weight, state, health })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => prop::collection::vec(backend(), BACKENDS).prop_map(Step::Configure),
        1 => Just(Step::Restart),
        4 => (1_u64..15).prop_map(Step::Wait),
        1 => (30_u64..60).prop_map(Step::Wait),
        40 => (0..FLOWS).prop_map(Step::Send),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn flows_in_tunnels_stay_where_they_are(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new("dsr");
        for step in steps {
            world.run(step)?;
        }
    }

    #[test]
    fn translated_flows_stay_where_they_are(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new("nat");
        for step in steps {
            world.run(step)?;
        }
    }
}
