//! What somebody wants changed.

use serde_json::Value;
use sluice_model::objects::Source;
use sluice_model::{ObjectId, Parsed};

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
}

impl Change {
    /// Who wants it, for the log.
    pub const fn origin(&self) -> &'static str {
        match self {
            Self::Directory(_) => "directory",
            _ => "api",
        }
    }
}
