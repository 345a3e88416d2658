//! Reads the counters every second and makes rates of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tracing::debug;

use super::Series;
use crate::engine::Handle;
use crate::wire::{Counters, Traffic};

const EVERY: Duration = Duration::from_secs(1);

/// Services whose series are kept: those with most packets.
const SERVICES: usize = 200;

/// Fills the series until the engine ends.
pub(super) async fn sample(engine: Handle, series: Arc<Series>) {
    let mut beat = interval(EVERY);
    // After a pause the next beats shall not come in a bunch: a rate needs its second.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Instant, HashMap<String, u64>)> = None;
    loop {
        beat.tick().await;
        let counters = match engine.read(|engine| engine.counters()).await {
            Ok(Ok(counters)) => counters,
            Ok(Err(error)) => {
                debug!(%error, "no counters for the series");
                continue;
            }
            Err(_) => return,
        };
        let (now, time) = (Instant::now(), counters.time.as_second());
        let totals = totals(&counters);
        if let Some((then, old)) = &before {
            series.put(time, rates(&totals, old, now.duration_since(*then)));
        }
        before = Some((now, totals.into_iter().collect()));
    }
}

/// By second. What was not there before, or is less than before, has no rate yet.
fn rates(
    totals: &[(String, u64)],
    before: &HashMap<String, u64>,
    passed: Duration,
) -> Vec<(String, f64)> {
    let seconds = passed.as_secs_f64().max(0.001);
    let rate = |(name, total): &(String, u64)| {
        let more = total.checked_sub(*before.get(name)?)?;
        Some((name.clone(), more as f64 / seconds))
    };
    totals.iter().filter_map(rate).collect()
}

/// Everything that has a series, the most wanted first.
fn totals(counters: &Counters) -> Vec<(String, u64)> {
    let Traffic {
        sent_packets,
        sent_bytes,
        passed_packets,
        passed_bytes,
        dropped_packets,
        dropped_bytes,
    } = counters.traffic;
    let mut totals: Vec<(String, u64)> = [
        ("traffic/sent/packets", sent_packets),
        ("traffic/sent/bytes", sent_bytes),
        ("traffic/passed/packets", passed_packets),
        ("traffic/passed/bytes", passed_bytes),
        ("traffic/dropped/packets", dropped_packets),
        ("traffic/dropped/bytes", dropped_bytes),
    ]
    .map(|(name, total)| (name.to_owned(), total))
    .into();
    for place in &counters.placements {
        let finished = place.sent_packets + place.dropped_packets;
        let (name, packets) = match &place.link {
            Some(link) => (format!("place/{}/{link}/packets", place.placement), finished),
            None => (format!("place/{}/packets", place.placement), finished + place.passed_packets),
        };
        totals.push((name, packets));
    }
    for reason in counters.reasons.iter().filter(|reason| reason.class == "drop") {
        totals.push((format!("drop/{}/packets", reason.reason), reason.packets));
    }
    let mut services: Vec<_> = counters
        .services
        .iter()
        .map(|service| {
            let packets: u64 = service.backends.iter().map(|backend| backend.packets).sum();
            let bytes: u64 = service.backends.iter().map(|backend| backend.bytes).sum();
            (&service.name, packets, bytes)
        })
        .collect();
    services.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    for (name, packets, bytes) in services.into_iter().take(SERVICES) {
        totals.push((format!("service/{name}/packets"), packets));
        totals.push((format!("service/{name}/bytes"), bytes));
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_need_two_looks_and_a_counter_that_grows() {
        let now = [("a", 30), ("new", 5), ("reset", 1)].map(|(name, n)| (name.to_owned(), n));
        let before = [("a", 10), ("reset", 9)].map(|(name, n)| (name.to_owned(), n)).into();
        assert_eq!(rates(&now, &before, Duration::from_secs(2)), [("a".to_owned(), 10.0)]);
    }
}
