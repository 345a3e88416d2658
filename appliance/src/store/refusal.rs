//! Why a change was refused.

use std::fmt;

use jiff::Timestamp;
use sluice_model::{Diff, Location, ObjectId, Problem};

use crate::access::Role;
use crate::wire::{Conflict, Warning};

/// The longest time that a commit may wait to be confirmed: a day.
const MAX_CONFIRM_SECONDS: u32 = 86_400;

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
    /// The change as a whole is for a higher role than its author has.
    #[error(
        "this change needs the role {needs}, because of {because}: somebody who has it can make it"
    )]
    NotAllowed {
        /// The least role.
        needs: Role,
        /// An object for which it is needed.
        because: ObjectId,
    },
    /// Others changed what the candidate changes, to something else.
    #[error("{}", conflicting(.0))]
    Conflicts(Vec<Conflict>),
    /// The session that asks for the change would be cut off by it.
    #[error("{}; accept the warning to do it all the same", warned(.0))]
    Warned(Vec<Warning>),
    /// A commit waits to be confirmed, and nothing else may change meanwhile.
    #[error(
        "revision {revision} waits to be confirmed until {until}: confirm it (`sluice confirm`) or return to revision \
         {returns_to} (`sluice confirm --return`) first"
    )]
    Unconfirmed {
        /// The revision that waits.
        revision: u64,
        /// The revision that returns.
        returns_to: u64,
        /// When.
        until: Timestamp,
    },
    /// No commit waits to be confirmed.
    #[error("no commit waits to be confirmed: `sluice history` tells what became of the last one")]
    NothingPending,
    /// The confirmation came over the connection of the commit, which proves nothing.
    #[error(
        "the confirmation must come over a new connection, to prove that one can be made: this is the connection of the \
         commit; connect again and repeat it"
    )]
    SameConnection,
    /// There is no such revision any more, or never was.
    #[error(
        "revision {revision} is not kept: `sluice history` lists those that are, from {oldest} to {newest}"
    )]
    NoRevision {
        /// The one asked for.
        revision: u64,
        /// The oldest whose objects can return.
        oldest: u64,
        /// The one in force.
        newest: u64,
    },
    /// The time for a confirmation makes no sense.
    #[error(
        "confirmSeconds: {0} s are not a time to confirm within: expected 1 to {MAX_CONFIRM_SECONDS}"
    )]
    ConfirmTime(u32),
    /// The author's candidate is empty.
    #[error("there is nothing to commit: edit something with candidate=true (`--candidate`) first")]
    EmptyCandidate,
    /// A candidate takes single objects and imports only.
    #[error("a {0} cannot be put into a candidate: leave candidate=true out")]
    NotForCandidate(&'static str),
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
    /// Refuses a change that is for a higher role.
    pub(crate) fn check_role(role: Role, diff: &Diff) -> Result<(), Self> {
        match Role::to_commit(diff).filter(|(needs, _)| role < *needs) {
            Some((needs, because)) => Err(Self::NotAllowed { needs, because: because.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses a time that nobody can mean.
    pub(crate) fn check_confirm_seconds(seconds: Option<u32>) -> Result<(), Self> {
        match seconds {
            Some(seconds) if !(1..=MAX_CONFIRM_SECONDS).contains(&seconds) => {
                Err(Self::ConfirmTime(seconds))
            }
            _ => Ok(()),
        }
    }

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

fn conflicting(conflicts: &[Conflict]) -> impl fmt::Display {
    let Some(first) = conflicts.first() else { return "others changed the same".to_owned() };
    let field = if first.field.is_empty() { "all of it" } else { &first.field };
    let more = match conflicts.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    format!(
        "{}: {field}: was changed in between to something else{more}: look at the candidate's conflicts, edit these \
         objects again as they shall be, and commit again",
        first.object
    )
}

fn warned(warnings: &[Warning]) -> impl fmt::Display {
    let all = warnings
        .iter()
        .map(|warning| format!("{}: {}: {}", warning.object, warning.field, warning.message));
    all.collect::<Vec<_>>().join("; ")
}
