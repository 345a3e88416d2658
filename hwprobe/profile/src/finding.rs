//! The answer of a line: yes, no and what lies between.

use std::fmt::{self, Display, Formatter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Evidence;

/// What is known about one capability, and why it is believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Finding<L = Limits> {
    /// The answer.
    pub verdict: Verdict<L>,
    /// Why. Never empty in a profile that was recorded or is shipped.
    pub evidence: Vec<Evidence>,
    /// The change that would turn the answer, as a command or a sentence, where one is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Whether something can be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Verdict<L = Limits> {
    /// Yes, confirmed by a trial or by the driver's sources.
    Yes,
    /// No.
    No,
    /// Within these limits.
    Partly(L),
    /// The driver says so, no trial confirmed it.
    Claimed,
    /// Not known, for this reason.
    Unknown(String),
}

/// The limits of something that can be had in part. What is absent is not known to be limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// The most entries that a table was seen to take, or may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_entries: Option<u32>,
    /// The longest key, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_key_bytes: Option<u32>,
    /// The longest value, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_value_bytes: Option<u32>,
    /// The longest key and value together, bytes, each rounded up to eight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_key_value_bytes: Option<u32>,
    /// The most of what the capability counts: instructions, bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Limits that have no number.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<String>,
}

impl<L> Finding<L> {
    /// An answer with one reason.
    pub fn new(verdict: Verdict<L>, evidence: Evidence) -> Self {
        Self { verdict, evidence: vec![evidence], remedy: None }
    }

    /// Nobody knows, for this reason; there is no evidence.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self { verdict: Verdict::Unknown(why.into()), evidence: Vec::new(), remedy: None }
    }

    /// Adds the change that would turn the answer.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Whether it can be relied on, perhaps within limits: `yes` or `partly`.
    pub fn holds(&self) -> bool {
        matches!(self.verdict, Verdict::Yes | Verdict::Partly(_))
    }

    /// Whether it is worth a trial: anything but `no`.
    pub fn possible(&self) -> bool {
        !matches!(self.verdict, Verdict::No)
    }

    /// The limits of `partly`.
    pub fn limits(&self) -> Option<&L> {
        match &self.verdict {
            Verdict::Partly(limits) => Some(limits),
            _ => None,
        }
    }

    /// The first evidence in one sentence, or that there is none.
    pub fn because(&self) -> String {
        match (&self.verdict, self.evidence.first()) {
            (_, Some(evidence)) => evidence.to_string(),
            (Verdict::Unknown(why), None) => why.clone(),
            (_, None) => "no evidence".to_owned(),
        }
    }

    /// The same answer, with other limits.
    pub fn map<M>(self, limits: impl FnOnce(L) -> M) -> Finding<M> {
        let verdict = match self.verdict {
            Verdict::Yes => Verdict::Yes,
            Verdict::No => Verdict::No,
            Verdict::Partly(old) => Verdict::Partly(limits(old)),
            Verdict::Claimed => Verdict::Claimed,
            Verdict::Unknown(why) => Verdict::Unknown(why),
        };
        Finding { verdict, evidence: self.evidence, remedy: self.remedy }
    }
}

impl Limits {
    /// At most so many.
    pub fn at_most(count: u64) -> Self {
        Self { at_most: Some(count), ..Self::default() }
    }

    /// Tables of at most so many entries.
    pub fn entries(count: u32) -> Self {
        Self { max_entries: Some(count), ..Self::default() }
    }

    /// A limit in words.
    pub fn condition(words: impl Into<String>) -> Self {
        Self { conditions: vec![words.into()], ..Self::default() }
    }
}

impl<L: Display> Display for Verdict<L> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Yes => f.write_str("yes"),
            Self::No => f.write_str("no"),
            Self::Partly(limits) => write!(f, "partly ({limits})"),
            Self::Claimed => f.write_str("claimed"),
            Self::Unknown(why) => write!(f, "unknown ({why})"),
        }
    }
}

impl Display for Limits {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let number =
            |words: &str, value: Option<u32>| value.map(|value| format!("{words} {value}"));
        let numbers = [
            self.at_most.map(|value| format!("at most {value}")),
            number("entries at most", self.max_entries),
            number("key bytes at most", self.max_key_bytes),
            number("value bytes at most", self.max_value_bytes),
            number("key and value bytes at most", self.max_key_value_bytes),
        ];
        let parts: Vec<_> = numbers.into_iter().flatten().chain(self.conditions.clone()).collect();
        f.write_str(&parts.join(", "))
    }
}
