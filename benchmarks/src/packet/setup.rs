//! The gateways that are measured, and the cases of each.

use super::{
    case::{ALL_NEW, Case, FLOWS, Kind, table_offset},
    check::TX,
    configuration::{Configuration, Delivery},
    frame::Transport,
    gateway::Gateway,
    wrapper::{FlowWords, Target, Wrapper},
};
use anyhow::{Context, Result, ensure};
use sluice_datapath::{
    abi::{NAT_INDICES_PER_ADDRESS, NAT_PORTS, NatState, Table},
    packet::wire,
};
use sluice_kernel::tables;
use std::net::IpAddr;

/// One gateway.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its name.
    pub name: String,
    /// What is configured.
    pub configuration: Configuration,
    /// What is measured.
    pub cases: Vec<Case>,
    /// What is measured in the second after a backend has left.
    pub changed: Vec<Case>,
    /// Listed addresses that peers are given.
    pub peers: Option<u32>,
}

/// The sizes of the prefilter that services are measured with.
const PREFILTERS: [(&str, usize); 4] =
    [("off", 0), ("1k", 1000), ("100k", 100_000), ("1m", 1_000_000)];
const MILLION: (&str, u32) = FLOWS[2];

/// All setups; `short`: those of the gate.
pub fn setups(short: bool) -> Vec<Setup> {
    if short {
        return vec![short_services(), short_prefilter()];
    }
    let mut setups = Vec::new();
    for (name, prefixes) in PREFILTERS {
        for delivery in [Delivery::Dsr, Delivery::Nat] {
            setups.push(services(delivery, name, prefixes));
        }
    }
    setups.push(everything());
    for (name, prefixes) in &PREFILTERS[1..] {
        setups.push(prefilter_alone(name, *prefixes, false));
    }
    setups.push(prefilter_alone("1m", 1_000_000, true));
    setups
}

/// Nine of ten prefixes are IPv4.
fn both(prefixes: usize) -> (usize, usize) {
    (prefixes - prefixes / 10, prefixes / 10)
}

fn kinds(delivery: Delivery) -> &'static [Kind] {
    match delivery {
        Delivery::Dsr => &[Kind::Dsr],
        Delivery::Nat => &[Kind::Forward, Kind::Reply],
    }
}

fn matrix(delivery: Delivery, suffix: &str) -> Vec<Case> {
    let mut cases = Vec::new();
    for &kind in kinds(delivery) {
        for v6 in [false, true] {
            for transport in [Transport::ESTABLISHED, Transport::Udp] {
                for flows in FLOWS {
                    cases.push(Case::of_service(kind, v6, transport, flows, suffix));
                }
            }
        }
    }
    cases
}

fn services(delivery: Delivery, name: &str, prefixes: usize) -> Setup {
    let suffix = |state: &str| format!("{state}/prefilter-{name}");
    let mut cases = matrix(delivery, &suffix("steady"));
    if delivery == Delivery::Dsr && prefixes == 0 {
        for v6 in [false, true] {
            cases.push(Case::of_service(
                Kind::Dsr,
                v6,
                Transport::OPENING,
                ALL_NEW,
                &suffix("steady"),
            ));
            for flows in [FLOWS[0], MILLION] {
                cases.push(Case::not_for_us(v6, flows, &suffix("steady")));
            }
        }
    }
    Setup {
        name: format!("{}-prefilter-{name}", delivery.word()),
        configuration: Configuration {
            services: vec![delivery],
            prefixes: both(prefixes),
            ..Configuration::default()
        },
        cases,
        changed: matrix(delivery, &suffix("change")),
        peers: None,
    }
}

fn everything() -> Setup {
    let suffix = "steady/everything";
    let mut cases = matrix(Delivery::Dsr, suffix);
    cases.extend(matrix(Delivery::Nat, suffix));
    for v6 in [false, true] {
        cases.push(Case::not_for_us(v6, MILLION, suffix));
    }
    Setup {
        name: "everything".to_owned(),
        configuration: Configuration {
            services: vec![Delivery::Dsr, Delivery::Nat],
            prefixes: both(100_000),
            extras: true,
            one_left: false,
        },
        cases,
        changed: matrix(Delivery::Dsr, "change/everything"),
        peers: None,
    }
}

fn prefilter_alone(name: &str, prefixes: usize, v6: bool) -> Setup {
    let suffix = format!("steady/prefilter-{name}");
    let mut cases = Vec::new();
    for listed in [false, true] {
        // As many different sources as there are prefixes, at most.
        let most = prefixes.next_power_of_two() as u32 / if prefixes == 1000 { 2 } else { 1 };
        let most = if prefixes == 1_000_000 { 1 << 19 } else { most / 2 };
        for flows in [FLOWS[0], FLOWS[1], MILLION] {
            if !listed || flows.1 <= most.max(1) {
                cases.push(Case::prefilter(v6, listed, flows, &suffix));
            }
        }
        if listed && prefixes == 1_000_000 {
            cases.push(Case::prefilter(v6, listed, ("512k", 1 << 19), &suffix));
        }
    }
    Setup {
        name: format!("prefilter-{name}-ipv{}", if v6 { 6 } else { 4 }),
        configuration: Configuration {
            prefixes: if v6 { (0, prefixes) } else { (prefixes, 0) },
            ..Configuration::default()
        },
        cases,
        changed: Vec::new(),
        peers: (!v6).then_some(prefixes as u32),
    }
}

/// What the gate looks at: a line of each kind.
fn short_services() -> Setup {
    let suffix = "steady/gate";
    let tcp = Transport::ESTABLISHED;
    let mut cases = Vec::new();
    for flows in [FLOWS[0], MILLION] {
        for v6 in [false, true] {
            cases.push(Case::of_service(Kind::Dsr, v6, tcp, flows, suffix));
        }
        cases.push(Case::of_service(Kind::Dsr, false, Transport::Udp, flows, suffix));
        cases.push(Case::of_service(Kind::Forward, false, tcp, flows, suffix));
        cases.push(Case::of_service(Kind::Reply, false, tcp, flows, suffix));
        cases.push(Case::not_for_us(false, flows, suffix));
    }
    let changed = vec![Case::of_service(Kind::Dsr, false, tcp, MILLION, "change/gate")];
    Setup {
        name: "gate-services".to_owned(),
        configuration: Configuration {
            services: vec![Delivery::Dsr, Delivery::Nat],
            prefixes: both(1000),
            ..Configuration::default()
        },
        cases,
        changed,
        peers: None,
    }
}

fn short_prefilter() -> Setup {
    let mut setup = prefilter_alone("100k", 100_000, false);
    setup.cases.retain(|case| case.load.flows != 1);
    for case in &mut setup.cases {
        case.name = case.name.replace("prefilter-100k", "gate");
    }
    setup.name = "gate-prefilter".to_owned();
    setup.peers = None;
    setup
}

impl Setup {
    /// Loads it, and lets all translated flows begin that are measured.
    ///
    /// # Errors
    /// When the kernel refuses, or a flow doesn't begin.
    pub fn load(&self, wrapper: &mut Wrapper) -> Result<Gateway> {
        let gateway = Gateway::new(&self.configuration.yaml())?;
        if self.configuration.services.contains(&Delivery::Nat) {
            open_flows(wrapper, &gateway)?;
            wrapper.set_flows(replies(&gateway)?)?;
        }
        Ok(gateway)
    }

    /// The configuration after a backend of each service has left.
    pub fn after_change(&self) -> String {
        Configuration { one_left: true, ..self.configuration.clone() }.yaml()
    }
}

/// Every flow sends its first packet.
fn open_flows(wrapper: &mut Wrapper, gateway: &Gateway) -> Result<()> {
    wrapper.aim(&Target::Gateway(&gateway.program))?;
    for v6 in [false, true] {
        for transport in [Transport::OPENING, Transport::Udp] {
            let mut case = Case::of_service(Kind::Forward, v6, transport, MILLION, "opening");
            // The fast program, the one that opens, the one that delivers: three calls each.
            case.load.packets_per_run = 8;
            case.load.verdict = TX;
            wrapper
                .time(&case.load, 0, MILLION.1)
                .with_context(|| format!("{}: not every flow begins", case.name))?;
        }
    }
    Ok(())
}

/// The packets that the backends of all flows send, in an order that has nothing to do with where their records are.
fn replies(gateway: &Gateway) -> Result<Vec<FlowWords>> {
    let (pools, backends) = (gateway.pools(), gateway.backends_by_id());
    let store = gateway.program.tables();
    let records = store.view(tables::NAT_RECORDS);
    let mut kinds: [Vec<FlowWords>; 4] = Default::default();
    for index in 0..store.entries(Table::NatRecords) {
        let record = records.read(index);
        let state = record.state.get();
        if state & NatState::USED == 0 {
            continue;
        }
        let pool = pools.get(&(index / NAT_INDICES_PER_ADDRESS)).context("no pool address")?;
        let backend = backends.get(&record.backend).context("no backend")?;
        let port = sluice_datapath::abi::nat_index_port(index);
        let words = [last(backend), last(pool), wire::ports(record.service_port, port)];
        let udp = index % NAT_INDICES_PER_ADDRESS >= NAT_PORTS;
        let v6 = state & NatState::IPV6 != 0;
        kinds[(table_offset(v6, udp) >> 20) as usize].push(words);
    }
    let mut all = Vec::new();
    for flows in &mut kinds {
        ensure!(flows.len() == MILLION.1 as usize, "{} flows have begun", flows.len());
        shuffle(flows);
        all.append(flows);
    }
    Ok(all)
}

fn last(address: &IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => u32::from_ne_bytes(address.octets()),
        IpAddr::V6(address) => {
            let [.., a, b, c, d] = address.octets();
            u32::from_ne_bytes([a, b, c, d])
        }
    }
}

/// Always the same order.
fn shuffle<T>(all: &mut [T]) {
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for index in (1..all.len()).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        all.swap(index, (seed % (index as u64 + 1)) as usize);
    }
}
