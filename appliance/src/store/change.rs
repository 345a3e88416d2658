//! What somebody wants changed.

use serde_json::Value;
use sluice_model::objects::Source;
use sluice_model::{ObjectId, Parsed};

use super::Contents;
use crate::wire::RevisionOrigin;

/// A change of the desired objects: all of it happens, or nothing.
#[derive(Clone, Debug)]
pub enum Change {
    /// The API: these objects shall be. Those with a `resourceVersion` only if it is still theirs.
    Apply(Vec<Parsed>),
    /// The API: this object shall be as in the request.
    Put {
        /// What the address of the request says.
        id: ObjectId,
        /// The object.
        parsed: Box<Parsed>,
        /// Replace an object without saying which version of it was seen.
        force: bool,
    },
    /// The API: a JSON merge patch (RFC 7396) of an object.
    Patch {
        /// Which.
        id: ObjectId,
        /// What changes.
        patch: Value,
    },
    /// The API: an object shall not be.
    Delete {
        /// Which.
        id: ObjectId,
        /// Only if this is still its version.
        version: Option<String>,
    },
    /// The configuration directory: these objects, and no others, come from files.
    Directory(Vec<(Parsed, Source)>),
    /// The API: these objects and those of files shall be, and no others.
    Replace {
        /// The objects.
        objects: Vec<Parsed>,
        /// What the history calls it.
        origin: RevisionOrigin,
    },
    /// The API: what is in the backup shall be.
    Restore(Box<Contents>),
    /// The API: what the author's candidate says.
    Candidate,
    /// The API: the objects of this revision again.
    Rollback {
        /// Which.
        to: u64,
    },
    /// The objects before the commit that waits to be confirmed, again.
    Return,
}

impl Change {
    /// What it is, for the log and the history.
    pub const fn origin(&self) -> RevisionOrigin {
        match self {
            Self::Apply(_) | Self::Put { .. } | Self::Patch { .. } | Self::Delete { .. } => {
                RevisionOrigin::Api
            }
            Self::Directory(_) => RevisionOrigin::Directory,
            Self::Replace { origin, .. } => *origin,
            Self::Restore(_) => RevisionOrigin::Restore,
            Self::Candidate => RevisionOrigin::Candidate,
            Self::Rollback { .. } => RevisionOrigin::Rollback,
            Self::Return => RevisionOrigin::NotConfirmed,
        }
    }

    /// Whether somebody waits for an answer, who can do without what is impossible. Files stay where they are and are
    /// tried again; and the way back must not fail because of a link that is gone meanwhile.
    pub const fn is_demanding(&self) -> bool {
        !matches!(self, Self::Directory(_) | Self::Return)
    }
}
