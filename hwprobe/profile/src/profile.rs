//! The profile as a whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Capability, Finding, Identity};

/// The version of the form that this crate reads and writes.
pub const SCHEMA_VERSION: u32 = 1;

/// What a link can do, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Profile {
    /// The version of this form.
    pub schema_version: u32,
    /// What the profile is called: the link, or what is shipped.
    pub name: String,
    /// Where the profile comes from.
    pub origin: Origin,
    /// What the link is.
    pub identity: Identity,
    /// One line per capability. A capability without a line was not asked for.
    pub lines: BTreeMap<Capability, Finding>,
}

/// Where a profile comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "by", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Origin {
    /// The link was probed.
    Probed {
        /// When the probe began.
        at: Timestamp,
        /// The kernel's release.
        kernel: String,
        /// The version of hwprobe.
        version: String,
        /// Whether hooks in use were probed too.
        disruptive: bool,
    },
    /// Nobody probed such a card: this is what the driver's sources say.
    Derived {
        /// The version of the kernel.
        kernel: String,
        /// What it rests on, in a sentence.
        note: String,
    },
    /// Not yet recorded by a probe: this is what was noted while it was tried.
    NotRecorded {
        /// What it rests on, in a sentence.
        note: String,
    },
}

/// Why a text is not a profile.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Not JSON, or not of this form.
    #[error(
        "not a capability profile: {0}; `hwprobe schema` prints the form, `hwprobe LINK -o json` writes a profile"
    )]
    Form(#[from] serde_json::Error),
    /// Another version.
    #[error(
        "schemaVersion {found}: this version reads {SCHEMA_VERSION}; probe again with the hwprobe of this version"
    )]
    Version {
        /// The version in the text.
        found: u64,
    },
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// [`LoadError`]: not a profile, or of another version.
    pub fn from_json(text: &str) -> Result<Self, LoadError> {
        /// Only the version, so that another version is named and not its first unknown field.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Versioned {
            schema_version: u64,
        }
        let Versioned { schema_version } = serde_json::from_str(text)?;
        if schema_version != u64::from(SCHEMA_VERSION) {
            return Err(LoadError::Version { found: schema_version });
        }
        Ok(serde_json::from_str(text)?)
    }

    /// Writes the profile, with a line end.
    ///
    /// # Errors
    /// If memory ends: nothing in a profile cannot be written.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// What is known about a capability; `unknown` if nobody asked.
    pub fn finding(&self, capability: Capability) -> Finding {
        self.lines.get(&capability).cloned().unwrap_or_else(|| {
            Finding::unknown(format!("the profile {} has no line {capability}", self.name))
        })
    }

    /// Whether a probe saw it, in contrast to a profile from sources or notes.
    pub fn probed(&self) -> bool {
        matches!(self.origin, Origin::Probed { .. })
    }
}
