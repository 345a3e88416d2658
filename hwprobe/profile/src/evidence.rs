//! How a line of a profile is known.

use std::fmt::{self, Display, Formatter};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One reason to believe a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Evidence {
    /// The kernel was asked on the machine of the link.
    Kernel {
        /// How it was asked: the call, the object, the values that matter.
        asked: String,
        /// What it answered.
        answer: Answer,
        /// When.
        at: Timestamp,
    },
    /// Read in the sources of the kernel, not seen on a card.
    Source {
        /// The version of the kernel.
        kernel: String,
        /// The file, from the root of the kernel's sources.
        file: String,
        /// The function, table or constant in it.
        function: String,
        /// What it says.
        fact: String,
    },
    /// Seen in a trial whose exact words were not recorded.
    Notes {
        /// What was tried and seen.
        seen: String,
    },
}

/// What the kernel answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// The answer in a few words: `accepted`, `in_hw`, a value that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Name of the error number of a refusal, such as `EOPNOTSUPP`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The text of the extended acknowledgement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extack: Option<String>,
    /// The line of the verifier's log that says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verifier: Option<String>,
}

impl Answer {
    /// An answer without a refusal.
    pub fn result(words: impl Into<String>) -> Self {
        Self { result: Some(words.into()), ..Self::default() }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let quoted = |text: &Option<String>| text.as_ref().map(|text| format!("'{text}'"));
        let parts =
            [self.result.clone(), self.errno.clone(), quoted(&self.extack), quoted(&self.verifier)];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        f.write_str(&parts.join(": "))
    }
}

impl Display for Evidence {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { asked, answer, .. } => write!(f, "{asked}: {answer}"),
            Self::Source { kernel, file, function, fact } => {
                write!(f, "{fact} ({file}, {function}, Linux {kernel})")
            }
            Self::Notes { seen } => write!(f, "{seen} (notes of a trial)"),
        }
    }
}
