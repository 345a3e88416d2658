//! The audit log: who did or tried what, whence, and what became of it. Records are only ever added; each carries the hash of the one
//! before it, so that one that is changed or missing is noticed.

mod chain;
mod log;
mod record;
mod segments;

pub use chain::{Broken, Checked};
pub use log::AuditLog;
pub use record::{Entry, Outcome, Record};

#[cfg(test)]
mod tests;
