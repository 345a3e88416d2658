//! Who may do what: callers, their roles, and how they are known.

mod caller;
mod role;

pub use caller::{Caller, CallerKind, Connection, Ends};
pub use role::Role;
