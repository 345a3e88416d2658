//! From results of probes to a verdict: `rise` good ones bring a backend up, `fall` failed ones take it down.

use jiff::Timestamp;
use sluice_model::status::HealthState;

/// What the probes of a backend say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// No probe has finished yet.
    #[default]
    Unknown,
    /// It answers.
    Up,
    /// It does not answer.
    Down,
}

impl From<Verdict> for HealthState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Unknown => Self::Unknown,
            Verdict::Up => Self::Up,
            Verdict::Down => Self::Down,
        }
    }
}

/// What is known of a probed backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the probes say.
    pub verdict: Verdict,
    /// When the verdict last changed.
    pub since: Timestamp,
    /// Why the last failed probe failed; forgotten with the verdict `Up`.
    pub last_error: Option<String>,
}

/// Adds results up.
#[derive(Debug)]
pub(super) struct Track {
    report: Report,
    /// Results in a row that contradict the verdict.
    against: u16,
}

impl Track {
    /// Begins with what was known before.
    pub(super) fn new(verdict: Verdict, now: Timestamp) -> Self {
        Self { report: Report { verdict, since: now, last_error: None }, against: 0 }
    }

    pub(super) fn report(&self) -> &Report {
        &self.report
    }

    /// Takes in one result; whether the report changed. The first result of an unknown backend decides at once.
    pub(super) fn record(
        &mut self,
        result: Result<(), String>,
        rise: u16,
        fall: u16,
        now: Timestamp,
    ) -> bool {
        let (found, error) = match result {
            Ok(()) => (Verdict::Up, None),
            Err(error) => (Verdict::Down, Some(error)),
        };
        let before = self.report.clone();
        if error.is_some() {
            self.report.last_error = error;
        }
        let needed = match self.report.verdict {
            Verdict::Unknown => 1,
            Verdict::Down => rise,
            Verdict::Up => fall,
        };
        if found == self.report.verdict {
            self.against = 0;
        } else {
            self.against += 1;
        }
        if self.against >= needed {
            self.against = 0;
            self.report.verdict = found;
            self.report.since = now;
        }
        if self.report.verdict == Verdict::Up && found == Verdict::Up {
            self.report.last_error = None;
        }
        self.report != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(track: &mut Track, results: &str) -> Vec<Verdict> {
        let now = Timestamp::UNIX_EPOCH;
        let each = |result: char| {
            track.record(if result == '+' { Ok(()) } else { Err("refused".into()) }, 2, 3, now);
            track.report.verdict
        };
        results.chars().map(each).collect()
    }

    #[test]
    fn first_result_decides_what_is_unknown() {
        assert_eq!(
            feed(&mut Track::new(Verdict::Unknown, Timestamp::UNIX_EPOCH), "+"),
            [Verdict::Up]
        );
        assert_eq!(
            feed(&mut Track::new(Verdict::Unknown, Timestamp::UNIX_EPOCH), "-"),
            [Verdict::Down]
        );
    }

    #[test]
    fn falls_and_rises_after_results_in_a_row() {
        use Verdict::{Down, Up};
        let mut track = Track::new(Up, Timestamp::UNIX_EPOCH);
        assert_eq!(
            feed(&mut track, "--+---+-++"),
            [Up, Up, Up, Up, Up, Down, Down, Down, Down, Up]
        );
    }

    #[test]
    fn error_is_kept_while_down_and_forgotten_when_up() {
        let mut track = Track::new(Verdict::Up, Timestamp::UNIX_EPOCH);
        feed(&mut track, "---+");
        assert_eq!(track.report.last_error.as_deref(), Some("refused"));
        feed(&mut track, "+");
        assert_eq!(track.report.last_error, None);
    }

    #[test]
    fn report_changes_are_told() {
        let now = Timestamp::UNIX_EPOCH;
        let mut track = Track::new(Verdict::Up, now);
        assert!(!track.record(Ok(()), 2, 3, now), "nothing new");
        assert!(track.record(Err("refused".into()), 2, 3, now), "a new error");
        assert!(!track.record(Err("refused".into()), 2, 3, now), "the same error");
        assert!(track.record(Err("refused".into()), 2, 3, now), "a new verdict");
    }
}
