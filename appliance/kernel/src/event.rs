use futures_util::{Stream, stream::BoxStream};
use sluice_datapath::abi::Event;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

/// The events of the datapath as they come. The stream ends when somebody else reads them, when the tables are
/// replaced by larger ones with another ring, or when the datapath is closed.
pub struct Events {
    stream: BoxStream<'static, Event>,
    malformed: Arc<AtomicU64>,
}

impl Events {
    pub(crate) fn new(stream: BoxStream<'static, Event>, malformed: Arc<AtomicU64>) -> Self {
        Self { stream, malformed }
    }

    /// Records in the ring so far that were no event of this ABI; they are left out.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.stream.as_mut().poll_next(context)
    }
}
