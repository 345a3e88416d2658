//! What a card refused, and when it is asked again.

use std::time::{Duration, Instant};

use sluice_kernel::{CardStep, Error};
use sluice_planner::card::Refusal;

/// The first time after a refusal that a card is asked again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// It is asked at least so often.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// A refusal that is not over.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// In one word for programs.
    pub(super) word: &'static str,
    reason: &'static str,
    /// The kernel's words.
    pub(super) words: String,
    attempts: u32,
    /// The card is left in peace until then.
    pub(super) until: Instant,
}

impl Trouble {
    /// A refusal, after `before` at the same place.
    pub(super) fn new(error: &Error, before: Option<&Self>) -> Self {
        let (word, reason) = kind(error);
        Self::because(word, reason, error.to_string(), before)
    }

    /// Something else than an answer of the kernel.
    pub(super) fn because(
        word: &'static str,
        reason: &'static str,
        words: String,
        before: Option<&Self>,
    ) -> Self {
        let attempts = before.map_or(0, |before| before.attempts + 1);
        let wait = FIRST_RETRY.saturating_mul(1 << attempts.min(10)).min(LAST_RETRY);
        Self { word, reason, words, attempts, until: Instant::now() + wait }
    }

    /// Whether it says something that `before` did not say.
    pub(super) fn is_news(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| (before.word, &before.words) != (self.word, &self.words))
    }

    /// The obstacle may be gone: ask soon.
    pub(super) fn hurry(&mut self) {
        self.until = self.until.min(Instant::now() + FIRST_RETRY);
    }

    pub(super) fn refusal(&self, link: &str) -> Refusal {
        let is_switched_off = self.words.contains("TC offload is disabled");
        let change = if is_switched_off {
            format!("ethtool -K {link} hw-tc-offload on")
        } else {
            format!("it is tried again by itself, every {} s at least", LAST_RETRY.as_secs())
        };
        Refusal { reason: self.reason.to_owned(), words: self.words.clone(), change: Some(change) }
    }
}

fn kind(error: &Error) -> (&'static str, &'static str) {
    let refusal = match error {
        Error::Foreign { .. } | Error::ForeignFilter { .. } => {
            return ("ForeignProgram", "somebody else's program is on the card");
        }
        Error::NoSuchLink { .. } => return ("CardGone", "the card is gone"),
        Error::Card(refusal) => refusal,
        _ => return ("CardFailed", "the program could not be put on the card"),
    };
    match &refusal.step {
        _ if refusal.is_about_absence() => ("CardGone", "the card is gone"),
        CardStep::Table { .. } => ("TableRefused", "the card refused a table"),
        CardStep::Bind => ("BindRefused", "the card refused to be bound to the program"),
        CardStep::Verify => ("ProgramRefused", "the card refused the program's instructions"),
        CardStep::Hook(_) => ("HookRefused", "the card refused to run the program"),
        CardStep::ReadBack => {
            ("NotOnCard", "the kernel accepted the program, but the card does not run it")
        }
        _ if refusal.is_about_room() => ("TableFull", "a table on the card is full"),
        _ => ("EntryRefused", "the card refused an entry"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_asked_ever_less_often_but_at_least_every_minute() {
        let again = |before: Option<&Trouble>| {
            Trouble::because("CardGone", "the card is gone", "ENODEV".to_owned(), before)
        };
        let mut trouble = again(None);
        let mut waits = Vec::new();
        for _ in 0..9 {
            waits.push((trouble.until - Instant::now()).as_secs_f64().round());
            trouble = again(Some(&trouble));
        }
        assert_eq!(waits, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
        trouble.hurry();
        assert!(trouble.until <= Instant::now() + FIRST_RETRY);
    }

    #[test]
    fn a_switch_that_is_off_is_named() {
        let words =
            "eth0: the card refused to run the program (tc): TC offload is disabled on net device.";
        let trouble = Trouble::because("HookRefused", "", words.to_owned(), None);
        assert_eq!(trouble.refusal("eth0").change.unwrap(), "ethtool -K eth0 hw-tc-offload on");
    }
}
