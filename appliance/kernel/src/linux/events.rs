use super::{readiness::readable, tables::Tables};
use crate::{Errno, Error, Events, Object, Result, view::value_of};
use aya::maps::{Map, MapData, RingBuf};
use sluice_datapath::abi::{Event, Table};
use std::{
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{io::unix::AsyncFd, sync::watch};

type Ring = AsyncFd<RingBuf<MapData>>;

/// Reads the ring until the other end of `alive` is dropped.
pub(super) fn events(tables: &Tables, alive: watch::Receiver<()>) -> Result<Events> {
    let ring = open(tables)?;
    let malformed = Arc::new(AtomicU64::new(0));
    let reader = Reader { ring, alive, malformed: malformed.clone() };
    let stream = futures_util::stream::unfold(reader, |mut reader| async move {
        reader.next().await.map(|event| (event, reader))
    });
    Ok(Events::new(Box::pin(stream), malformed))
}

fn open(tables: &Tables) -> Result<Ring> {
    let object = || Object::Table(Table::Events);
    let failed = |errno| Error::kernel(object(), "open the ring", errno);
    let fd: OwnedFd = tables
        .map(Table::Events)
        .fd()
        .try_clone_to_owned()
        .map_err(|error| failed(errno_of(&error)))?;
    let ring = MapData::from_fd(fd)
        .and_then(|data| RingBuf::try_from(Map::RingBuf(data)))
        .map_err(|error| Error::Kernel {
            object: object(),
            operation: "map the ring into memory",
            errno: Errno::last(),
            kernel: Some(error.to_string()),
        })?;
    readable(ring).map_err(|error| failed(errno_of(&error)))
}

fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

struct Reader {
    ring: Ring,
    alive: watch::Receiver<()>,
    malformed: Arc<AtomicU64>,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        loop {
            // Even a ring that is never empty changes hands.
            if self.alive.has_changed().is_err() {
                return None;
            }
            while let Some(item) = self.ring.get_mut().next() {
                match event(&item) {
                    Some(event) => return Some(event),
                    None => self.malformed.fetch_add(1, Ordering::Relaxed),
                };
            }
            tokio::select! {
                ready = self.ring.readable_mut() => ready.ok()?.clear_ready(),
                _ = self.alive.changed() => return None,
            }
        }
    }
}

/// The event in a record of the ring, if the record is one.
fn event(record: &[u8]) -> Option<Event> {
    if record.len() != size_of::<Event>() {
        return None;
    }
    let words = record.chunks_exact(8).filter_map(|word| word.try_into().ok());
    let event: Event = value_of(words.map(u64::from_ne_bytes));
    let known = event.kind <= sluice_datapath::abi::EventKind::Flow as u32
        && sluice_datapath::abi::Reason::from_number(event.reason).is_some();
    known.then_some(event)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_another_shape_are_no_events() {
        assert_eq!(event(&[0; 63]), None);
        assert_eq!(event(&[0xff; 64]), None);
        assert_eq!(event(&[0; 64]), Some(Event::default()));
    }
}
