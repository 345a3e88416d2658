//! All series, by name.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, PoisonError};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ring::Ring;
use crate::wire::{SeriesAnswer, SeriesValues};

/// An hour of seconds.
const SECONDS: usize = 3600;
/// A week of minutes.
const MINUTES: usize = 7 * 24 * 60;
/// With what each takes at most (110 kB), all series together stay below 60 MB.
const MOST: usize = 512;
/// A series that was not measured for so many seconds gives its place to a new one.
const STALE_SECONDS: i64 = 3600;

/// How far apart values are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Step {
    /// A second: the last hour.
    #[default]
    #[serde(rename = "1s")]
    Second,
    /// A minute: the last week.
    #[serde(rename = "1m")]
    Minute,
}

impl Step {
    const fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
        }
    }
}

/// One series at both steps.
#[derive(Debug)]
struct Both {
    seconds: Ring,
    minutes: Ring,
    /// The minute that is not over yet: which, sum and number of its values.
    minute: (i64, f64, u32),
}

impl Both {
    const fn new() -> Self {
        Self { seconds: Ring::new(SECONDS), minutes: Ring::new(MINUTES), minute: (0, 0.0, 0) }
    }

    fn put(&mut self, time: i64, value: f64) {
        self.seconds.put(time, value as f32);
        let (minute, sum, count) = self.minute;
        let this = time.div_euclid(60);
        if this == minute {
            self.minute = (minute, sum + value, count + 1);
            return;
        }
        if count > 0 {
            self.minutes.put(minute, (sum / f64::from(count)) as f32);
        }
        self.minute = (this, value, 1);
    }

    fn ring(&self, step: Step) -> &Ring {
        match step {
            Step::Second => &self.seconds,
            Step::Minute => &self.minutes,
        }
    }
}

/// Rates of what is counted, over time.
#[derive(Debug, Default)]
pub struct Series {
    series: Mutex<BTreeMap<String, Both>>,
}

impl Series {
    /// Takes the values of one second. When there is no room for all, those that come first have it.
    pub fn put(&self, time: i64, values: impl IntoIterator<Item = (String, f64)>) {
        let mut all = self.lock();
        let mut without_room = Vec::new();
        for (name, value) in values {
            if all.len() < MOST || all.contains_key(&name) {
                all.entry(name).or_insert_with(Both::new).put(time, value);
            } else {
                without_room.push((name, value));
            }
        }
        if without_room.is_empty() {
            return;
        }
        all.retain(|_, both| both.seconds.last().is_some_and(|last| time - last < STALE_SECONDS));
        let room = MOST.saturating_sub(all.len());
        for (name, value) in without_room.into_iter().take(room) {
            all.entry(name).or_insert_with(Both::new).put(time, value);
        }
    }

    /// The series with these names, and for a name that ends in `/` all below it; their last `count` values.
    pub fn get(&self, names: &[&str], step: Step, count: usize) -> SeriesAnswer {
        let all = self.lock();
        let (below, exact): (Vec<_>, Vec<_>) = names.iter().partition(|name| name.ends_with('/'));
        let exact: HashSet<&str> = exact.into_iter().copied().collect();
        let wanted = |name: &str| {
            exact.contains(name) || below.iter().any(|prefix| name.starts_with(**prefix))
        };
        let found: Vec<_> = all.iter().filter(|(name, _)| wanted(name)).collect();
        let last = found.iter().filter_map(|(_, both)| both.ring(step).last()).max().unwrap_or(0);
        let most = match step {
            Step::Second => SECONDS,
            Step::Minute => MINUTES,
        };
        let begin = last - count.clamp(1, most) as i64 + 1;
        let values = |both: &Both| both.ring(step).between(begin, last).collect();
        SeriesAnswer {
            step,
            begin: begin * step.seconds(),
            series: found
                .into_iter()
                .map(|(name, both)| SeriesValues { name: name.clone(), values: values(both) })
                .collect(),
        }
    }

    /// The names of all series.
    pub fn names(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Both>> {
        // What is in it is whole after every line.
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, value: f64) -> (String, f64) {
        (name.to_owned(), value)
    }

    #[test]
    fn minutes_are_the_means_of_their_seconds() {
        let series = Series::default();
        for time in 120..=181 {
            series.put(time, [value("sent/packets", f64::from(time as i32))]);
        }
        let answer = series.get(&["sent/packets"], Step::Minute, 1);
        assert_eq!((answer.begin, answer.series[0].values.as_slice()), (120, &[Some(149.5)][..]));
        let answer = series.get(&["sent/"], Step::Second, 2);
        assert_eq!(answer.begin, 180);
        assert_eq!(answer.series[0].values, [Some(180.0), Some(181.0)]);
    }

    #[test]
    fn memory_is_bounded_and_series_that_ended_make_room() {
        let series = Series::default();
        series.put(0, (0..MOST + 10).map(|n| value(&format!("service/{n:04}/packets"), 1.0)));
        assert_eq!(series.names().len(), MOST);
        series.put(1, [value("new", 1.0)]);
        assert!(!series.names().contains(&"new".to_owned()), "all others are younger than an hour");
        series.put(2 + STALE_SECONDS, [value("new", 1.0)]);
        assert_eq!(series.names(), ["new"]);
    }

    #[test]
    fn names_that_do_not_exist_answer_nothing() {
        let series = Series::default();
        series.put(5, [value("sent/packets", 1.0)]);
        assert!(series.get(&["sent", "nothing/"], Step::Second, 10).series.is_empty());
    }
}
