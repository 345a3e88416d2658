//! How many packets per second each service and each denied prefix sees: what decides who is on a card.

use std::{collections::HashMap, hash::Hash, time::Duration};

use ipnet::IpNet;
use sluice_model::Name;

/// After so long without change a measured rate has come two thirds of the way to a new one. Long enough that a burst
/// of a second moves nothing, short enough that a card follows an attack within half a minute.
const MEMORY: Duration = Duration::from_secs(10);
/// Rates below count as nothing: they are forgotten, so that the memory of prefixes stays small.
const NOTHING: f64 = 0.01;

/// Packets per second, host and card together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Heat {
    services: HashMap<Name, f64>,
    prefixes: HashMap<IpNet, f64>,
}

impl Heat {
    /// Nothing but these rates.
    pub fn of(
        services: impl IntoIterator<Item = (Name, f64)>,
        prefixes: impl IntoIterator<Item = (IpNet, f64)>,
    ) -> Self {
        Self {
            services: services.into_iter().collect(),
            prefixes: prefixes.into_iter().map(|(prefix, rate)| (prefix.trunc(), rate)).collect(),
        }
    }

    /// Packets per second of a service.
    #[must_use]
    pub fn service(&self, name: &Name) -> f64 {
        self.services.get(name).copied().unwrap_or(0.0)
    }

    /// Packets per second that a prefix decides.
    #[must_use]
    pub fn prefix(&self, prefix: &IpNet) -> f64 {
        self.prefixes.get(prefix).copied().unwrap_or(0.0)
    }

    /// All prefixes with a rate.
    pub fn prefixes(&self) -> impl Iterator<Item = (&IpNet, f64)> {
        self.prefixes.iter().map(|(prefix, rate)| (prefix, *rate))
    }
}

/// Makes rates of counters that are read from time to time.
#[derive(Clone, Debug, Default)]
pub struct HeatMeter {
    services: Meter<Name>,
    prefixes: Meter<IpNet>,
}

impl HeatMeter {
    /// Takes in the counters as they are now: the sums of host and card, of all that are still there. Counters that
    /// were never seen before, or begin anew, tell nothing yet.
    pub fn observe(
        &mut self,
        elapsed: Duration,
        services: impl IntoIterator<Item = (Name, u64)>,
        prefixes: impl IntoIterator<Item = (IpNet, u64)>,
    ) {
        self.services.observe(elapsed, services);
        self.prefixes.observe(elapsed, prefixes);
    }

    /// The rates.
    #[must_use]
    pub fn heat(&self) -> Heat {
        Heat { services: self.services.rates(), prefixes: self.prefixes.rates() }
    }
}

#[derive(Clone, Debug)]
struct Meter<K> {
    known: HashMap<K, Rate>,
}

#[derive(Clone, Copy, Debug)]
struct Rate {
    count: u64,
    per_second: f64,
}

impl<K> Default for Meter<K> {
    fn default() -> Self {
        Self { known: HashMap::new() }
    }
}

impl<K: Hash + Eq + Clone> Meter<K> {
    fn observe(&mut self, elapsed: Duration, counts: impl IntoIterator<Item = (K, u64)>) {
        let seconds = elapsed.as_secs_f64();
        if seconds <= 0.0 {
            return;
        }
        let weight = 1.0 - (-seconds / MEMORY.as_secs_f64()).exp();
        let mut before = std::mem::take(&mut self.known);
        for (key, count) in counts {
            let new = match before.remove(&key) {
                Some(old) => {
                    let now =
                        count.checked_sub(old.count).map_or(0.0, |more| more as f64 / seconds);
                    let per_second = old.per_second + weight * (now - old.per_second);
                    Rate { count, per_second }
                }
                None => Rate { count, per_second: 0.0 },
            };
            self.known.insert(key, new);
        }
        // Who isn't counted any more cools down and is forgotten.
        for (key, old) in before {
            let per_second = old.per_second * (1.0 - weight);
            if per_second >= NOTHING {
                self.known.insert(key, Rate { per_second, ..old });
            }
        }
    }

    fn rates(&self) -> HashMap<K, f64> {
        let known = self.known.iter().filter(|(_, rate)| rate.per_second >= NOTHING);
        known.map(|(key, rate)| (key.clone(), rate.per_second)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observe(meter: &mut HeatMeter, count: u64) -> f64 {
        let web: Name = "web".parse().unwrap();
        meter.observe(Duration::from_secs(5), [(web.clone(), count)], []);
        meter.heat().service(&web)
    }

    #[test]
    fn a_rate_is_reached_and_left_in_half_a_minute() {
        let mut meter = HeatMeter::default();
        assert_eq!(observe(&mut meter, 1_000_000), 0.0);
        let rates: Vec<_> = (1..=8).map(|i| observe(&mut meter, 1_000_000 + i * 5000)).collect();
        assert!(rates[0] < 500.0 && rates[6] > 950.0 && rates[7] < 1000.0, "{rates:?}");
        let rates: Vec<_> = (0..8).map(|_| observe(&mut meter, 1_040_000)).collect();
        assert!(rates[0] > 500.0 && rates[7] < 50.0, "{rates:?}");
    }

    #[test]
    fn a_counter_that_begins_anew_is_no_burst() {
        let mut meter = HeatMeter::default();
        observe(&mut meter, 5000);
        let before = observe(&mut meter, 10_000);
        assert!(observe(&mut meter, 3) < before);
        assert!(observe(&mut meter, 5003) < 1000.0);
    }

    #[test]
    fn what_is_counted_no_more_cools_down() {
        let mut meter = HeatMeter::default();
        let prefix: IpNet = "192.0.2.0/24".parse().unwrap();
        let mut observe = |count: Option<u64>| {
            meter.observe(Duration::from_secs(5), [], count.map(|count| (prefix, count)));
            meter.heat().prefix(&prefix)
        };
        observe(Some(0));
        let hot = observe(Some(50_000));
        let cold = observe(None);
        assert!(hot > 1000.0 && cold < hot && cold > 0.0, "{hot} {cold}");
        for _ in 0..40 {
            observe(None);
        }
        assert!(meter.prefixes.known.is_empty());
    }
}
