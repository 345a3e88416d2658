//! Who has which index in which table.

mod ids;
mod regions;

pub use ids::Ids;
pub use regions::Regions;

/// Ticks for which an index that nobody refers to any more stays unused: a packet that read the reference before it
/// was taken away is long done by then.
pub(crate) const READERS_DONE_TICKS: u32 = 2;
