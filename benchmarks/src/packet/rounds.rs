//! Measuring: all cases and programs after each other, again and again.

use super::{
    case::Case,
    check::{Addresses, check},
    gateway::Gateway,
    peers::Peers,
    wrapper::{Target, Wrapper},
};
use crate::{
    machine::Machine,
    record::Record,
    statistics::{Summary, ratio},
};
use anyhow::{Context, Result, ensure};

/// Packets whose bytes are compared in each round.
const CHECKED: u64 = 8;

/// The measurements of one case.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The case.
    pub case: Case,
    /// Programs, and how long each took for a packet in each round, in nanoseconds.
    pub programs: Vec<(String, Vec<f64>)>,
}

/// Measures the gateway, the floors and the peers on these cases.
///
/// # Errors
/// When a packet did not become what it must.
pub(super) fn measure(
    wrapper: &mut Wrapper,
    gateway: &Gateway,
    peers: &Peers,
    cases: &[Case],
    rounds: usize,
) -> Result<Vec<Measured>> {
    let addresses =
        Addresses { backends: gateway.backends(), pools: gateway.pools().into_values().collect() };
    let mut measured: Vec<Measured> = cases
        .iter()
        .map(|case| {
            let mut names = vec!["empty".to_owned(), case.floor.to_owned(), "sluice".to_owned()];
            names.extend(peers.of(case).map(|peer| peer.name.to_owned()));
            let programs = names.into_iter().map(|name| (name, Vec::new())).collect();
            Measured { case: case.clone(), programs }
        })
        .collect();
    for round in 0..rounds {
        for one in &mut measured {
            let count = one.programs.len();
            for turn in 0..count {
                let which = (turn + round) % count;
                let (name, times) = &mut one.programs[which];
                let case = &one.case;
                let time = single(wrapper, gateway, peers, &addresses, case, name, round)
                    .with_context(|| format!("{} by {name}", case.name))?;
                times.push(time);
            }
        }
    }
    Ok(measured)
}

/// One program on one case, once.
fn single(
    wrapper: &mut Wrapper,
    gateway: &Gateway,
    peers: &Peers,
    addresses: &Addresses,
    case: &Case,
    name: &str,
    round: usize,
) -> Result<f64> {
    let mut load = case.load.clone();
    let packets = case.packets();
    // Every round goes on where the last one ended, so that all flows are visited.
    let first = (round as u64) * u64::from(packets + case.warm_up());
    match name {
        "sluice" => {
            if load.slow {
                wrapper.aim_slowly(&gateway.program)?;
            } else {
                wrapper.aim(&Target::Gateway(&gateway.program))?;
            }
            let before = gateway.count(case.reason)?;
            wrapper.time(&load, first, case.warm_up())?;
            let time = wrapper.time(&load, first + u64::from(case.warm_up()), packets)?;
            let counted = gateway.count(case.reason)? - before;
            let wanted = u64::from(case.warm_up() + packets);
            ensure!(
                counted == wanted,
                "{counted} of {wanted} packets ended with {:?}",
                case.reason
            );
            for number in first..first + CHECKED {
                let (verdict, after) = wrapper.once(&load, number)?;
                ensure!(verdict == load.verdict, "verdict {verdict}");
                check(case.expectation, addresses, &wrapper.packet(&load, number), &after)?;
            }
            Ok(time)
        }
        peer if peers.named(peer).is_some() => {
            let peer = peers.named(peer).context("no such peer")?;
            wrapper.aim(&Target::Program(peer.program()?))?;
            wrapper.time(&load, first, case.warm_up())?;
            wrapper.time(&load, first + u64::from(case.warm_up()), packets)
        }
        floor => {
            // Floors send everything back.
            load.verdict = super::check::TX;
            wrapper.aim(&Target::Floor(&format!("bench_{floor}")))?;
            wrapper.time(&load, first, case.warm_up())?;
            wrapper.time(&load, first + u64::from(case.warm_up()), packets)
        }
    }
}

impl Measured {
    /// The times of a program.
    pub fn times(&self, program: &str) -> &[f64] {
        self.programs.iter().find(|(name, _)| name == program).map_or(&[], |(_, times)| times)
    }

    /// The quotient of the gateway to its floor.
    pub fn ratio(&self) -> f64 {
        ratio(self.times("sluice"), self.times(self.case.floor))
    }

    /// As records.
    pub fn records(&self, machine: &Machine) -> Vec<Record> {
        let floor = self.times(self.case.floor);
        let record = |(name, times): &(String, Vec<f64>)| {
            let is_floor = name == "empty" || name == self.case.floor;
            Record {
                suite: "packet".to_owned(),
                case: self.case.name.clone(),
                program: name.clone(),
                unit: "ns".to_owned(),
                summary: Summary::of(times),
                rounds: times.len(),
                floor: (!is_floor).then(|| self.case.floor.to_owned()),
                ratio: (!is_floor).then(|| ratio(times, floor)),
                machine: machine.clone(),
            }
        };
        self.programs.iter().map(record).collect()
    }
}
