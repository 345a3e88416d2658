//! When a link is probed again.

use std::time::{Duration, Instant};

/// A link is probed no more often, however much changes about it.
const FIRST: Duration = Duration::from_secs(2);
/// Nor less often, while something is expected of it.
const LAST: Duration = Duration::from_secs(60);

/// When a link was probed, and when it will be.
///
/// Much can change that nobody tells of: a driver has room again, a firmware takes programs after all. So a link of which
/// more is expected than was found is probed again and again; and since a link may change all the time without any change of
/// what it can do, probes that find nothing new become rare.
#[derive(Debug)]
pub(super) struct Pace {
    probed_at: Option<Instant>,
    pause: Duration,
    is_doubtful: bool,
}

impl Default for Pace {
    fn default() -> Self {
        Self { probed_at: None, pause: FIRST, is_doubtful: false }
    }
}

impl Pace {
    /// Whether it is time; `is_settled` if what is known is what is expected.
    pub(super) fn is_due(&self, is_settled: bool, now: Instant) -> bool {
        let Some(at) = self.probed_at else { return true };
        (self.is_doubtful || !is_settled) && now.saturating_duration_since(at) >= self.pause
    }

    /// A probe begins.
    pub(super) fn begin(&mut self, now: Instant) {
        (self.probed_at, self.is_doubtful) = (Some(now), false);
    }

    /// A probe ended.
    pub(super) fn end(&mut self, is_news: bool) {
        self.pause = if is_news { FIRST } else { (self.pause * 2).min(LAST) };
    }

    /// Something about the link changed.
    pub(super) const fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Somebody asks for a probe.
    pub(super) fn ask(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds of five minutes in which a link is probed.
    fn probed(mut pace: Pace, is_settled: bool, mut changes: impl FnMut(u64) -> bool) -> Vec<u64> {
        let start = Instant::now();
        let mut at = Vec::new();
        for second in 0..300 {
            if changes(second) {
                pace.doubt();
            }
            let now = start + Duration::from_secs(second);
            if pace.is_due(is_settled, now) {
                pace.begin(now);
                pace.end(at.is_empty());
                at.push(second);
            }
        }
        at
    }

    #[test]
    fn a_link_of_which_more_is_expected_is_probed_ever_less_often_but_every_minute() {
        assert_eq!(probed(Pace::default(), false, |_| false), [0, 2, 6, 14, 30, 62, 122, 182, 242]);
        assert_eq!(probed(Pace::default(), true, |_| false), [0]);
    }

    #[test]
    fn a_link_that_changes_all_the_time_is_probed_ever_less_often() {
        let often = probed(Pace::default(), true, |_| true);
        assert_eq!(often, [0, 2, 6, 14, 30, 62, 122, 182, 242]);
        assert_eq!(probed(Pace::default(), true, |second| second == 100), [0, 100]);
    }

    #[test]
    fn who_asks_for_a_probe_does_not_wait() {
        let mut pace = Pace::default();
        let now = Instant::now();
        pace.begin(now);
        pace.end(false);
        assert!(!pace.is_due(false, now));
        pace.ask();
        assert!(pace.is_due(true, now));
    }
}
