//! What the history says of a commit.

use jiff::Timestamp;
use sluice_model::Diff;

use super::Author;
use crate::wire::{Revision, RevisionOrigin};

/// A commit of this moment.
pub(crate) fn new_revision(
    number: u64,
    author: &Author,
    origin: RevisionOrigin,
    diff: &Diff,
) -> Revision {
    Revision {
        revision: number,
        time: Timestamp::now(),
        author: author.name.clone(),
        source: author.source.clone(),
        origin,
        message: None,
        added: diff.added.len() as u64,
        changed: diff.changed.len() as u64,
        removed: diff.removed.len() as u64,
        same_as: None,
        confirmation: None,
    }
}
