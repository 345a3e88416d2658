//! A card that comes and goes under the traffic: it refuses, accepts, is removed, comes back, is switched off and on. No
//! connection breaks, and no packet is lost but those that were on their way through a card that was removed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Extent;
use super::traffic::{Allowance, Traffic};
use crate::client::lost_segments;
use crate::gateway::StageState;
use crate::laboratory::Laboratory;
use crate::plan::{CLIENT_SUBNET, SERVICES};
use crate::report::Report;
use crate::topology::EmulatedCard;

const LONG_CONNECTIONS: usize = 200;
const REQUESTS_PER_SECOND: u32 = 300;
const PATIENCE: Duration = Duration::from_secs(20);
/// Longer than the first repetition of a SYN takes, so that losses count where they happened.
const SETTLED: Duration = Duration::from_millis(1500);
/// The acknowledgement of a duplicate may be under way.
const ACKNOWLEDGED: Duration = Duration::from_millis(300);
const ON_CARD: &str = "nic-xdp";
/// Points of a program's way onto a card at which it refuses, in turn.
const REFUSALS: [&str; 5] = ["map_create", "card_bind", "card_verify", "hook", "entry_write"];

/// What is done to the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    SwitchedOff,
    Refused,
    Accepted,
    Removed,
    Returned,
}

const STEPS: [Step; 5] =
    [Step::SwitchedOff, Step::Refused, Step::Accepted, Step::Removed, Step::Returned];

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SwitchedOff => "switched off",
            Self::Refused => "switched on and refused",
            Self::Accepted => "accepted again",
            Self::Removed => "removed",
            Self::Returned => "returned",
        })
    }
}

/// Runs the rounds.
pub(super) fn check(lab: &mut Laboratory<'_>, extent: Extent, report: &mut Report) -> Result<()> {
    let count = match extent {
        Extent::Short => 10,
        Extent::Long => 50,
    };
    // Services are worth a place on the card when they have traffic.
    let traffic = Traffic::start(lab, &SERVICES, LONG_CONNECTIONS, REQUESTS_PER_SECOND)?;
    until(lab, "the card runs the services", |stage| stage.placement == ON_CARD)?;
    let lost = lost(lab)?;
    let mut rounds = Rounds { lab, traffic, lost, seen: BTreeMap::new() };
    let outcome = rounds.run(count);
    if rounds.lab.stop.requested() {
        bail!("interrupted");
    }
    rounds.lab.daemon.assert_running()?;
    for (step, seen) in &rounds.seen {
        report.check(&format!("card: {step}"), Ok(seen.to_string()));
    }
    report.check("card: every round", outcome);
    report.check("card: takes part of the work", taken(rounds.lab));
    report.check("card: whole run", rounds.traffic.finish());
    Ok(())
}

struct Rounds<'lab, 'site> {
    lab: &'lab mut Laboratory<'site>,
    traffic: Traffic<'site>,
    /// Segments that were lost so far.
    lost: i64,
    seen: BTreeMap<Step, Seen>,
}

/// What was seen of one step in all rounds.
#[derive(Default)]
struct Seen {
    times: usize,
    lost: u64,
    slowest: Duration,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { times, lost, slowest } = self;
        write!(
            f,
            "{times} times, the slowest in {} ms; 0 connections broken, {lost} packets lost",
            slowest.as_millis()
        )
    }
}

impl Rounds<'_, '_> {
    fn run(&mut self, count: usize) -> Result<String> {
        let started = Instant::now();
        for (round, refusal) in (1..=count).zip(REFUSALS.into_iter().cycle()) {
            for step in STEPS {
                self.step(step, refusal).with_context(|| format!("round {round}, {step}"))?;
            }
        }
        Ok(format!("{count} rounds in {} s", started.elapsed().as_secs()))
    }

    fn step(&mut self, step: Step, refusal: &str) -> Result<()> {
        let begun = Instant::now();
        self.carry_out(step, refusal)?;
        let took = begun.elapsed();
        let removes = matches!(step, Step::Removed | Step::Returned);
        if removes {
            self.lab.stop.sleep(SETTLED.saturating_sub(took))?;
        }
        self.traffic.judge(if removes { Allowance::LostPackets } else { Allowance::Nothing })?;
        let lost = self.lost_since()?;
        if lost > 0 && !removes {
            bail!("{lost} packets were lost, but no device was removed");
        }
        let seen = self.seen.entry(step).or_default();
        seen.times += 1;
        seen.lost += lost;
        seen.slowest = seen.slowest.max(took);
        Ok(())
    }

    /// Does something to the card, and waits until the gateway's status shows it.
    fn carry_out(&mut self, step: Step, refusal: &str) -> Result<()> {
        let gateway = &self.lab.topology.gateway;
        match step {
            Step::SwitchedOff => {
                self.lab.daemon.use_cards(false)?;
                until(self.lab, "the host runs what was on the card", |stage| {
                    stage.placement != ON_CARD && stage.requested != ON_CARD
                })
            }
            Step::Refused => {
                self.lab.daemon.let_card_refuse(Some(refusal))?;
                self.lab.daemon.use_cards(true)?;
                until(self.lab, "the host runs what the card refuses", |stage| {
                    stage.placement != ON_CARD
                        && stage.requested == ON_CARD
                        && stage.reasons.iter().any(|reason| reason.contains("refused"))
                })
            }
            Step::Accepted => {
                self.lab.daemon.let_card_refuse(None)?;
                until(self.lab, "the card runs what it refused", |stage| stage.placement == ON_CARD)
            }
            Step::Removed => {
                card(self.lab)?.remove(gateway)?;
                until(self.lab, "the host runs what was on the removed card", |stage| {
                    stage.placement != ON_CARD
                })
            }
            Step::Returned => {
                card(self.lab)?.put_back(gateway)?;
                until(self.lab, "the returned card is used", |stage| stage.placement == ON_CARD)
            }
        }
    }

    fn lost_since(&mut self) -> Result<u64> {
        let mut now = lost(self.lab)?;
        if now > self.lost {
            self.lab.stop.sleep(ACKNOWLEDGED)?;
            now = lost(self.lab)?;
        }
        let since = now - self.lost;
        self.lost = now;
        // Less than none: a duplicate of an earlier step was acknowledged now.
        Ok(u64::try_from(since).unwrap_or(0))
    }
}

fn card<'a>(lab: &'a mut Laboratory<'_>) -> Result<&'a mut EmulatedCard> {
    lab.card.as_mut().context("the laboratory has no card: --nic emulated")
}

/// What all far ends lost.
fn lost(lab: &Laboratory<'_>) -> Result<i64> {
    lab.topology.far_ends().map(lost_segments).sum()
}

/// Waits for the place of the services.
fn until(lab: &Laboratory<'_>, what: &str, holds: impl Fn(&StageState) -> bool) -> Result<()> {
    let mut last = None;
    let waited = lab.stop.wait_for(PATIENCE, what, || {
        let stage = lab.daemon.sluice().stage(&CLIENT_SUBNET.gateway_link(), "service")?;
        let is_so = holds(&stage).then_some(());
        last = Some(stage);
        Ok(is_so)
    });
    waited.with_context(|| format!("last seen: {last:?}"))
}

fn taken(lab: &Laboratory<'_>) -> Result<String> {
    let (card, host) = lab.daemon.sluice().sent()?;
    if card == 0 || host == 0 {
        bail!("the card sent {card} packets to backends, the host {host}: one of them did nothing");
    }
    Ok(format!("the card sent {card} packets to backends, the host {host}"))
}
