//! Roles: each may do what the one before may, and more.

use std::fmt;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::{Diff, Kind, ObjectId};

/// What somebody may do.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything but users, tokens and the audit log.
    Viewer,
    /// Also: services, health checks, draining.
    Operator,
    /// Also: prefilters, policies, tunnels.
    Security,
    /// Everything.
    Administrator,
}

impl Role {
    /// All of them, from least to most.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Operator, Self::Security, Self::Administrator];

    /// The role that may change objects of this kind.
    pub fn to_change(kind: Kind) -> Self {
        match kind {
            Kind::Service => Self::Operator,
            Kind::Prefilter => Self::Security,
            Kind::Gateway => Self::Administrator,
        }
    }

    /// The highest role that one of these changes needs, and for which object; `None` if nothing changes.
    pub fn to_commit(diff: &Diff) -> Option<(Self, &ObjectId)> {
        let changed = diff.changed.iter().map(|change| &change.object);
        let objects = diff.added.iter().chain(&diff.removed).chain(changed);
        objects.map(|object| (Self::to_change(object.kind), object)).max_by_key(|(role, _)| *role)
    }

    /// As it is written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Security => "security",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
