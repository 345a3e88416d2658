//! Health of backends: probes, what their results add up to, and the tasks that run them.

mod check;
mod monitor;
mod probe;
mod track;

pub use check::{BackendKey, Check};
pub use monitor::Monitor;
pub use probe::{NetworkProber, Prober};
pub use track::{Report, Verdict};
