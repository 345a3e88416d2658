//! The stage `nat`: pool addresses and their records.

mod plan;
pub mod pool;

pub(crate) use plan::PoolRecords;
pub use plan::Pools;
