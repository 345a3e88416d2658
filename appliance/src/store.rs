//! Desired objects: where they come from, who may change them, and how they survive a restart.
//!
//! A change is proposed against what is desired now ([`Desired::propose`]), and only what was validated, planned and
//! programmed becomes the new desired state. Nothing in between changes anything.

mod backup;
mod candidate;
mod change;
mod cut_off;
mod database;
mod desired;
mod directory;
mod error;
mod history;
mod migration;
mod order;
mod record;
mod refusal;
mod revision;
mod watch;

pub use backup::{BackupError, Contents, SourcedObject};
pub use candidate::{Candidate, Candidates};
pub use change::Change;
pub use cut_off::cut_off;
pub use database::{Pended, Pending, Prepared, Since, Snapshot, Store, Write};
pub use desired::{Desired, Proposal};
pub use directory::Directory;
pub use error::StoreError;
pub use order::{Author, Order, SessionEnds};
pub use refusal::Refusal;
pub(crate) use revision::new_revision;
pub use watch::watch;
