//! Short requests at a steady rate, whether or not earlier ones were answered, as users come.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::request::PATIENCE;
use super::{get_from, joined, start_in};
use crate::plan::{FIRST_LOAD_PORT, LOAD_SOURCES_V4, LOAD_SOURCES_V6, Service};
use crate::topology::Namespace;

/// How often requests are begun.
const TICK: Duration = Duration::from_millis(10);

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) service: Service,
    pub(crate) started: Instant,
    pub(crate) ended: Instant,
    /// The backend's name, or why there was no answer.
    pub(crate) outcome: Result<String, String>,
}

/// A load that goes on in the background.
pub(crate) struct Steady {
    records: Arc<Mutex<Vec<Record>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Steady {
    /// Begins `per_second` requests a second, spread over the services.
    pub(crate) fn start(client: &Namespace, services: &[Service], per_second: u32) -> Result<Self> {
        let records = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let work = send(services.to_vec(), per_second, records.clone(), stop.clone());
        let thread = start_in(client.door()?, "steady-load", work)?;
        Ok(Steady { records, stop, thread: Some(thread) })
    }

    /// The requests that ended since the last call.
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut *self.records.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Ends the load, waits for the last answers and returns them.
    pub(crate) fn finish(mut self) -> Result<Vec<Record>> {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            joined(thread)?;
        }
        Ok(self.take())
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = joined(thread);
        }
    }
}

async fn send(
    services: Vec<Service>,
    per_second: u32,
    records: Arc<Mutex<Vec<Record>>>,
    stop: Arc<AtomicBool>,
) {
    let mut requests = tokio::task::JoinSet::new();
    let mut turns = services.into_iter().cycle();
    let mut ticks = tokio::time::interval(TICK);
    // After a pause of the machine the missed requests are not made up for all at once.
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut sources = Sources::default();
    let per_tick = f64::from(per_second) * TICK.as_secs_f64();
    let mut due = 0.0;
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        due += per_tick;
        while due >= 1.0 {
            due -= 1.0;
            let Some(service) = turns.next() else { return };
            let source = sources.next(service);
            let records = records.clone();
            requests.spawn(async move {
                let started = Instant::now();
                let outcome = match get_from(source, service.socket_address(), "/", PATIENCE).await
                {
                    Ok(answer) => Ok(answer.backend),
                    Err(error) => Err(format!("{error:#}")),
                };
                let record = Record { service, started, ended: Instant::now(), outcome };
                records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
            });
        }
        while requests.try_join_next().is_some() {}
    }
    while requests.join_next().await.is_some() {}
}

/// Addresses and ports in turn, so that no connection has those of an earlier one. One that had would, for the gateway,
/// be the earlier flow: while a change moves flows it goes where that went, to a drained backend too.
#[derive(Default)]
struct Sources {
    used: usize,
}

impl Sources {
    fn next(&mut self, service: Service) -> SocketAddr {
        let addresses = if service.address.is_ipv4() { LOAD_SOURCES_V4 } else { LOAD_SOURCES_V6 };
        let ports = usize::from(u16::MAX - FIRST_LOAD_PORT);
        let turn = self.used / ports % addresses.len();
        let port = FIRST_LOAD_PORT + u16::try_from(self.used % ports).unwrap_or_default();
        self.used += 1;
        let address = addresses.get(turn).copied().unwrap_or(addresses[0]);
        SocketAddr::new(address, port)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::plan::SERVICES;

    #[test]
    fn a_hundred_thousand_connections_are_all_different() {
        let mut sources = Sources::default();
        let all: HashSet<SocketAddr> = (0..100_000).map(|_| sources.next(SERVICES[0])).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|source| source.port() >= FIRST_LOAD_PORT));
    }
}
