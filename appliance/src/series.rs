//! Time series: what was counted, second by second for an hour and minute by minute for a week, in bounded memory.

mod ring;
mod sampler;
mod store;

pub use store::{Series, Step};

use std::sync::Arc;

use crate::engine::Handle;

/// Series that fill themselves until the engine ends.
pub fn start(engine: Handle) -> Arc<Series> {
    let series = Arc::new(Series::default());
    tokio::spawn(sampler::sample(engine, series.clone()));
    series
}
