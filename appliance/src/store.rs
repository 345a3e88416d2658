//! Desired objects: where they come from, who may change them, and how they survive a restart.
//!
//! A change is proposed against what is desired now ([`Desired::propose`]), and only what was validated, planned and
//! programmed becomes the new desired state. Nothing in between changes anything.

mod backup;
mod change;
mod desired;
mod directory;
mod order;
mod refusal;
mod snapshot;
mod watch;

pub use backup::{BackupError, Contents, SourcedObject};
pub use change::Change;
pub use desired::{Desired, Proposal};
pub use directory::Directory;
pub use order::{Author, Order, SessionEnds};
pub use refusal::Refusal;
pub use snapshot::{Prepared, Since, Snapshot, SnapshotError, SnapshotFile};
pub use watch::watch;
