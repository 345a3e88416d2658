//! Why something is not on a card.

use std::fmt;

use sluice_model::status::{NotChosen, Placement};
use sluice_profile::Finding;

/// Why something is not on a card: in a sentence, with what shows it and what would change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The sentence.
    pub reason: String,
    /// How that is known.
    pub evidence: Option<String>,
    /// What would have to change.
    pub change: Option<String>,
}

impl Obstacle {
    /// A reason alone.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), evidence: None, change: None }
    }

    /// A reason that a line of the profile gives.
    pub fn of<L>(reason: impl Into<String>, finding: &Finding<L>) -> Self {
        Self {
            reason: reason.into(),
            evidence: Some(finding.because()),
            change: finding.remedy.clone(),
        }
    }

    /// What shows it.
    #[must_use]
    pub fn shown_by(mut self, evidence: impl Into<String>) -> Self {
        self.evidence = Some(evidence.into());
        self
    }

    /// What would change it.
    #[must_use]
    pub fn changed_by(mut self, change: impl Into<String>) -> Self {
        self.change = Some(change.into());
        self
    }

    /// What would change it, where nothing better is known.
    #[must_use]
    pub fn or_changed_by(mut self, change: impl Into<String>) -> Self {
        self.change.get_or_insert_with(|| change.into());
        self
    }

    /// Names the link where a profile can only say `LINK`.
    #[must_use]
    pub fn of_link(mut self, link: &str) -> Self {
        self.change = self.change.map(|change| change.replace("LINK", link));
        self
    }

    /// As the status of a stage tells it.
    #[must_use]
    pub fn at(self, placement: Placement) -> NotChosen {
        let Self { reason, evidence, change } = self;
        NotChosen { placement, reason, evidence, change }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(evidence) = &self.evidence {
            write!(f, " ({evidence})")?;
        }
        Ok(())
    }
}
