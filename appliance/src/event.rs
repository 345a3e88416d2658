//! What happened: a bounded log that readers follow, and resume where they stopped.

mod log;
mod record;

pub use log::{EventLog, Follower, Next};
pub use record::{Cursor, Event, EventKind, Severity};
