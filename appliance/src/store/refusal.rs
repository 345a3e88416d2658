//! Why a change was refused.

use std::fmt;

use sluice_model::{Location, ObjectId, Problem};

/// A change that was refused. It changed nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Something is wrong with the objects.
    #[error("{}", summary(.0))]
    Invalid(Vec<Problem>),
    /// There is no such object.
    #[error("{0} does not exist: `sluice get {kind}` lists what does", kind = .0.kind.singular())]
    NotFound(ObjectId),
    /// Somebody else changed the object first.
    #[error(
        "{id} was changed in between: its resourceVersion is {found}, the request says {given}; get it again and repeat \
         the change"
    )]
    Stale {
        /// Which.
        id: ObjectId,
        /// The version it has.
        found: String,
        /// The version the request was made for.
        given: String,
    },
    /// The object exists, and the request does not say which version of it was seen.
    #[error(
        "{id} exists with resourceVersion {found}: send this version back to replace it, or force=true to replace \
         whatever is there"
    )]
    NoVersion {
        /// Which.
        id: ObjectId,
        /// The version it has.
        found: String,
    },
    /// The request says which version of an object was seen, but there is none.
    #[error(
        "{id} does not exist any more (the request says resourceVersion {given}): leave the version out to create it"
    )]
    Gone {
        /// Which.
        id: ObjectId,
        /// The version the request was made for.
        given: String,
    },
    /// The object belongs to a file.
    #[error("{id} is declared in {place}: change it there, or remove it there first")]
    OwnedByFile {
        /// Which.
        id: ObjectId,
        /// File, line and column.
        place: String,
    },
    /// The body is not what the address says.
    #[error("the request is for {expected}, the object in it is {found}: make them agree")]
    OtherObject {
        /// What the address says.
        expected: ObjectId,
        /// What the body is.
        found: String,
    },
}

impl Refusal {
    pub(super) fn owned_by_file(id: ObjectId, path: &str, location: Option<&Location>) -> Self {
        let place = location.map_or_else(|| path.to_owned(), ToString::to_string);
        Self::OwnedByFile { id, place }
    }
}

/// The first problem, and how many more there are.
fn summary(problems: &[Problem]) -> impl fmt::Display {
    match problems {
        [] => "the configuration is refused".to_owned(),
        [one] => one.to_string(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}
