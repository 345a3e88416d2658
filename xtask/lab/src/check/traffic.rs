//! The traffic of a change, and the judgement of what it suffered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::shares;
use crate::client::{Break, Hold, Record, Steady, repeated_syns};
use crate::laboratory::Laboratory;
use crate::plan::{Backend, Member, Service, expected_shares};
use crate::topology::Namespace;

/// In percentage points. A window of a change sees some 4000 requests, of which chance moves a share by up to 0.8
/// points (one standard deviation).
const TOLERANCE_POINTS: f64 = 4.0;

/// Long and short connections at the same time.
pub(super) struct Traffic<'lab> {
    client: &'lab Namespace,
    hold: Hold,
    steady: Steady,
    /// Requests that are to begin each second.
    wanted_per_second: u32,
    requests: usize,
    /// Repeated SYNs until the last judgement.
    repeated_syns: u64,
    started: Instant,
    /// Breaks that the death of a backend explains.
    explained: usize,
    /// What nothing explains, of the whole run.
    unexplained: Vec<String>,
}

/// What may break.
pub(super) enum Allowance {
    Nothing,
    /// Nothing, but packets may get lost on the way.
    LostPackets,
    /// The backend's long connections, and requests begun until the failover.
    Death {
        backend: Backend,
        at: Instant,
        failover: Duration,
        held: usize,
    },
}

impl<'lab> Traffic<'lab> {
    pub(super) fn start(
        lab: &Laboratory<'lab>,
        services: &[Service],
        connections: usize,
        requests_per_second: u32,
    ) -> Result<Self> {
        let client = &lab.topology.client;
        let hold = Hold::start(client, services, connections)?;
        let steady = Steady::start(client, services, requests_per_second)?;
        Ok(Traffic {
            client,
            hold,
            steady,
            wanted_per_second: requests_per_second,
            requests: 0,
            repeated_syns: repeated_syns(client)?,
            started: Instant::now(),
            explained: 0,
            unexplained: Vec::new(),
        })
    }

    /// The long connections that a backend got.
    pub(super) fn held_by(&self, backend: Backend) -> usize {
        self.hold.by_backend().get(&backend.to_string()).copied().unwrap_or(0)
    }

    /// Takes what happened since the last judgement; an error when more broke than is allowed.
    pub(super) fn judge(&mut self, allowance: Allowance) -> Result<Seen> {
        let records = self.steady.take();
        let breaks = self.hold.take_breaks();
        self.requests += records.len();
        let mut complaints = complaints(&records, &breaks, &allowance);
        let repeated = repeated_syns(self.client)?;
        let lost = repeated.saturating_sub(std::mem::replace(&mut self.repeated_syns, repeated));
        // A dying backend leaves SYNs without an answer, a removed device loses some; nothing else may.
        if lost > 0 && matches!(allowance, Allowance::Nothing) {
            complaints.push(format!("{lost} SYNs had to be sent again: packets were lost"));
        }
        if let Allowance::Death { backend, held, .. } = allowance {
            let broken =
                breaks.iter().filter(|broken| broken.backend == backend.to_string()).count();
            self.explained += broken;
            if broken != held {
                complaints.push(format!(
                    "{broken} of {held} long connections noticed the death of {backend}"
                ));
            }
        }
        if complaints.is_empty() {
            return Ok(Seen { records });
        }
        let message = summary(&complaints);
        self.unexplained.append(&mut complaints);
        bail!(message)
    }

    /// Ends the traffic and sums the whole run up.
    pub(super) fn finish(self) -> Result<String> {
        let Traffic { hold, steady, wanted_per_second, mut requests, started, .. } = self;
        let (explained, mut unexplained) = (self.explained, self.unexplained);
        let elapsed = started.elapsed();
        let records = steady.finish()?;
        requests += records.len();
        unexplained.extend(complaints(&records, &hold.take_breaks(), &Allowance::Nothing));
        if !unexplained.is_empty() {
            bail!("{}", summary(&unexplained));
        }
        let per_second = requests as f64 / elapsed.as_secs_f64();
        // A slow machine begins fewer; what proves something is still near to what was wanted.
        if per_second < f64::from(wanted_per_second) / 2.0 {
            bail!(
                "only {per_second:.0} requests a second were made instead of {wanted_per_second}"
            );
        }
        let but = match explained {
            0 => String::new(),
            explained => format!(", but for {explained} of the killed backend"),
        };
        Ok(format!(
            "{requests} requests, {per_second:.0} a second, and {} long connections with {} MB in {} s: 0 broken{but}",
            hold.count(),
            hold.received_bytes() / 1_000_000,
            elapsed.as_secs(),
        ))
    }
}

/// What broke and is not allowed to.
fn complaints(records: &[Record], breaks: &[Break], allowance: &Allowance) -> Vec<String> {
    let mut found = Vec::new();
    for broken in breaks {
        let allowed = match allowance {
            Allowance::Nothing | Allowance::LostPackets => false,
            Allowance::Death { backend, at, .. } => {
                broken.backend == backend.to_string() && broken.at >= *at
            }
        };
        if !allowed {
            found.push(format!(
                "long connection {} to {} broke: {}",
                broken.service, broken.backend, broken.why
            ));
        }
    }
    for record in records {
        let Err(why) = &record.outcome else { continue };
        let allowed = match allowance {
            Allowance::Nothing | Allowance::LostPackets => false,
            // One that was under way may have been at the backend.
            Allowance::Death { at, failover, .. } => {
                record.ended >= *at && record.started <= *at + *failover
            }
        };
        if !allowed {
            found.push(format!("request to {} failed: {why}", record.service.name));
        }
    }
    found
}

/// How many, and each kind of complaint once.
fn summary(complaints: &[String]) -> String {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for complaint in complaints {
        *kinds.entry(complaint).or_default() += 1;
    }
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let shown: Vec<String> =
        kinds.iter().take(5).map(|(kind, count)| format!("{count} x {kind}")).collect();
    format!("{} broken: {}", complaints.len(), shown.join("; "))
}

/// The requests of a window.
pub(super) struct Seen {
    records: Vec<Record>,
}

impl Seen {
    pub(super) fn extend(&mut self, other: Seen) {
        self.records.extend(other.records);
    }

    /// When the backend first answered, by the start of the request.
    pub(super) fn first_answer(&self, backend: Backend) -> Option<Instant> {
        let name = backend.to_string();
        let answered = self.records.iter().filter(|record| record.outcome.as_ref() == Ok(&name));
        answered.map(|record| record.started).min()
    }

    /// The shares of requests begun since then, against the members' weights.
    pub(super) fn shares(&self, since: Instant, members: &[Member]) -> Result<String> {
        let mut answers = BTreeMap::new();
        for record in self.since(since) {
            if let Ok(name) = &record.outcome {
                *answers.entry(name.clone()).or_default() += 1;
            }
        }
        self.no_strays(since, members)?;
        let total: usize = answers.values().sum();
        Ok(format!(
            "{total} requests, 0 broken; {}",
            shares::compare(&answers, members, TOLERANCE_POINTS)?
        ))
    }

    /// A member that is drained or has no weight gets not one new connection; an error says of which services it did.
    fn no_strays(&self, since: Instant, members: &[Member]) -> Result<()> {
        for (backend, _) in expected_shares(members).into_iter().filter(|(_, share)| *share == 0.0)
        {
            let name = backend.to_string();
            let mut strays: BTreeMap<&str, usize> = BTreeMap::new();
            for record in self.since(since).filter(|record| record.outcome.as_ref() == Ok(&name)) {
                *strays.entry(record.service.name).or_default() += 1;
            }
            if !strays.is_empty() {
                bail!("{name} is to get no new connection and got some of: {strays:?}");
            }
        }
        Ok(())
    }

    pub(super) fn failures(&self) -> usize {
        self.records.iter().filter(|record| record.outcome.is_err()).count()
    }

    /// When the last request began that failed.
    pub(super) fn last_failure(&self) -> Option<Instant> {
        self.records
            .iter()
            .filter(|record| record.outcome.is_err())
            .map(|record| record.started)
            .max()
    }

    fn since(&self, since: Instant) -> impl Iterator<Item = &Record> {
        self.records.iter().filter(move |record| record.started >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{BACKENDS, SERVICES};

    fn failed(started: Instant, ended: Instant) -> Record {
        Record { service: SERVICES[0], started, ended, outcome: Err("connect: refused".to_owned()) }
    }

    fn broken(backend: Backend, at: Instant) -> Break {
        Break { service: "dsr4", backend: backend.to_string(), at, why: "reset".to_owned() }
    }

    #[test]
    fn a_death_excuses_its_own_connections_and_two_seconds_of_requests() {
        let [b1, _, b3, _] = BACKENDS;
        let at = Instant::now();
        let later = |milliseconds| at + Duration::from_millis(milliseconds);
        let death = Allowance::Death { backend: b3, at, failover: Duration::from_secs(2), held: 1 };
        let records = [failed(later(1999), later(2100)), failed(later(2001), later(2100))];
        let breaks = [broken(b3, later(1)), broken(b1, later(1))];
        let found = complaints(&records, &breaks, &death);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("to b1 broke"), "{found:?}");
        assert_eq!(complaints(&records, &breaks, &Allowance::Nothing).len(), 4);
    }

    #[test]
    fn what_broke_before_the_death_is_not_excused() {
        let [_, _, b3, _] = BACKENDS;
        let before = Instant::now();
        let at = before + Duration::from_secs(1);
        let death = Allowance::Death { backend: b3, at, failover: Duration::from_secs(2), held: 1 };
        assert_eq!(complaints(&[failed(before, before)], &[broken(b3, before)], &death).len(), 2);
    }

    #[test]
    fn complaints_of_one_kind_are_shown_once() {
        let complaints = ["a".to_owned(), "b".to_owned(), "b".to_owned()];
        assert_eq!(summary(&complaints), "3 broken: 2 x b; 1 x a");
    }
}
