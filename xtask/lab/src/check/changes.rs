//! Changes while traffic flows: long connections transfer, short ones come at a steady rate, and nothing breaks but
//! what a killed backend takes with it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Extent;
use super::traffic::{Allowance, Traffic};
use crate::laboratory::Laboratory;
use crate::plan::{BACKENDS, Member, Service, first_members};
use crate::report::Report;

const LONG_CONNECTIONS: usize = 200;
const REQUESTS_PER_SECOND: u32 = 1000;
/// New requests must not meet a dead backend for longer.
const FAILOVER: Duration = Duration::from_secs(2);
/// A backend that was added must serve within this: its first probe is jittered.
const JOIN_PATIENCE: Duration = Duration::from_secs(5);

/// Runs every change for these services.
pub(super) fn check(
    lab: &mut Laboratory<'_>,
    label: &str,
    services: &[Service],
    extent: Extent,
    report: &mut Report,
) -> Result<()> {
    lab.apply_and_wait(&first_members())?;
    let traffic = Traffic::start(lab, services, LONG_CONNECTIONS, REQUESTS_PER_SECOND)?;
    let window = match extent {
        Extent::Short => Duration::from_secs(4),
        Extent::Long => Duration::from_secs(10),
    };
    let mut changes = Changes { lab, traffic, window, members: first_members() };
    let steps: [(&str, Step<'_, '_>); 7] = [
        ("undisturbed", Changes::undisturbed),
        ("backend added", Changes::added),
        ("weights changed", Changes::reweighted),
        ("backend drained", Changes::drained),
        ("daemon restarted", Changes::restarted),
        ("daemon killed", Changes::daemon_killed),
        ("backend killed", Changes::backend_killed),
    ];
    for (name, step) in steps {
        let outcome = step(&mut changes);
        if changes.lab.stop.requested() {
            bail!("interrupted");
        }
        changes.lab.daemon.assert_running()?;
        report.check(&format!("{label}: {name}"), outcome);
    }
    let Changes { lab, traffic, .. } = changes;
    report.check(&format!("{label}: whole run"), traffic.finish());
    let [_, _, b3, _] = BACKENDS;
    lab.start_server(b3)?;
    lab.apply_and_wait(&first_members())
}

type Step<'lab, 'site> = fn(&mut Changes<'lab, 'site>) -> Result<String>;

struct Changes<'lab, 'site> {
    lab: &'lab mut Laboratory<'site>,
    traffic: Traffic<'site>,
    /// How long each change is watched.
    window: Duration,
    members: Vec<Member>,
}

impl Changes<'_, '_> {
    fn undisturbed(&mut self) -> Result<String> {
        let begun = Instant::now();
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        seen.shares(begun, &self.members)
    }

    fn added(&mut self) -> Result<String> {
        let [_, _, _, b4] = BACKENDS;
        self.members.push(Member::active(b4, 1));
        self.apply()?;
        let asked = Instant::now();
        let mut seen = self.traffic.judge(Allowance::Nothing)?;
        let joined = self.lab.stop.wait_for(JOIN_PATIENCE, "an answer of b4", || {
            seen.extend(self.traffic.judge(Allowance::Nothing)?);
            Ok(seen.first_answer(b4))
        })?;
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        let shares = seen.shares(joined, &self.members)?;
        Ok(format!(
            "b4 serves after {} ms; {shares}",
            joined.saturating_duration_since(asked).as_millis()
        ))
    }

    fn reweighted(&mut self) -> Result<String> {
        self.members[0].weight = 3;
        let applied = self.apply()?;
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        seen.shares(applied, &self.members)
    }

    fn drained(&mut self) -> Result<String> {
        let [_, b2, ..] = BACKENDS;
        self.members[1].drain = true;
        let applied = self.apply()?;
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        let shares = seen.shares(applied, &self.members)?;
        let stayed = self.traffic.held_by(b2);
        Ok(format!("{stayed} long connections stay on b2, 0 new ones come; {shares}"))
    }

    fn restarted(&mut self) -> Result<String> {
        let begun = Instant::now();
        self.lab.daemon.stop()?;
        let away = self.lab.daemon.start()?;
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        let shares = seen.shares(begun, &self.members)?;
        Ok(format!("ready again {} ms after the start; {shares}", away.as_millis()))
    }

    fn daemon_killed(&mut self) -> Result<String> {
        let begun = Instant::now();
        self.lab.daemon.kill()?;
        // The datapath alone carries the traffic for a while.
        self.lab.stop.sleep(Duration::from_secs(1))?;
        let away = self.lab.daemon.start()?;
        self.lab.stop.sleep(self.window)?;
        let seen = self.traffic.judge(Allowance::Nothing)?;
        let shares = seen.shares(begun, &self.members)?;
        Ok(format!("ready again {} ms after the start; {shares}", away.as_millis()))
    }

    fn backend_killed(&mut self) -> Result<String> {
        let [_, _, b3, _] = BACKENDS;
        let held = self.traffic.held_by(b3);
        let killed = self.lab.kill_server(b3)?;
        // Longer than a request may take, so that every request of the two seconds has ended.
        self.lab.stop.sleep(FAILOVER + Duration::from_secs(5))?;
        self.traffic.judge(Allowance::Death { backend: b3, at: killed, failover: FAILOVER, held }).map(|seen| {
            let last = seen.last_failure().map_or(0, |at| at.saturating_duration_since(killed).as_millis());
            format!(
                "b3's {held} long connections end with it and no other; {} new requests met it, the last {last} ms \
                 after its death",
                seen.failures()
            )
        })
    }

    /// Returns when the new members are in force.
    fn apply(&self) -> Result<Instant> {
        self.lab.daemon.sluice().apply(&self.members)?;
        Ok(Instant::now())
    }
}
