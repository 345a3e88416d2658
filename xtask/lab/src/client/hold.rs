//! Long connections that receive an endless body and notice when it breaks, stalls or is damaged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::Method;

use super::request::{backend_of, open};
use super::{joined, start_in};
use crate::pattern;
use crate::plan::Service;
use crate::topology::Namespace;

/// A server sends ten times a second; TCP mends a lost segment in a fraction of this.
const STALL: Duration = Duration::from_secs(3);
const ESTABLISH_PATIENCE: Duration = Duration::from_secs(15);

/// Why and when a connection broke.
#[derive(Clone, Debug)]
pub(crate) struct Break {
    pub(crate) service: &'static str,
    pub(crate) backend: String,
    pub(crate) at: Instant,
    pub(crate) why: String,
}

#[derive(Default)]
struct Shared {
    /// Connections that received something, by backend.
    established: BTreeMap<String, usize>,
    breaks: Vec<Break>,
    received_bytes: u64,
}

/// A number of long connections.
pub(crate) struct Hold {
    count: usize,
    shared: Arc<Mutex<Shared>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Hold {
    /// Opens `count` connections, spread over the services, and waits until each has received something.
    pub(crate) fn start(client: &Namespace, services: &[Service], count: usize) -> Result<Self> {
        let shared = Arc::new(Mutex::new(Shared::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let targets: Vec<Service> = services.iter().copied().cycle().take(count).collect();
        let thread = start_in(
            client.door()?,
            "long-connections",
            hold_all(targets, shared.clone(), stop.clone()),
        )?;
        let hold = Hold { count, shared, stop, thread: Some(thread) };
        let started = Instant::now();
        loop {
            let established: usize = hold.shared().established.values().sum();
            if established == count {
                return Ok(hold);
            }
            if let Some(broken) = hold.shared().breaks.first() {
                bail!(
                    "a long connection to {} was not established: {}",
                    broken.service,
                    broken.why
                );
            }
            if started.elapsed() > ESTABLISH_PATIENCE {
                bail!("{established} of {count} long connections were established");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// How many connections each backend got.
    pub(crate) fn by_backend(&self) -> BTreeMap<String, usize> {
        self.shared().established.clone()
    }

    /// The bytes that all connections together received and compared.
    pub(crate) fn received_bytes(&self) -> u64 {
        self.shared().received_bytes
    }

    /// The breaks since the last call.
    pub(crate) fn take_breaks(&self) -> Vec<Break> {
        std::mem::take(&mut self.shared().breaks)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = joined(thread);
        }
    }
}

async fn hold_all(targets: Vec<Service>, shared: Arc<Mutex<Shared>>, stop: Arc<AtomicBool>) {
    // Dropping the set ends the connections.
    let mut connections = tokio::task::JoinSet::new();
    for service in targets {
        let shared = shared.clone();
        connections.spawn(async move {
            let mut backend = String::new();
            let why = match hold(service.socket_address(), &mut backend, &shared).await {
                Ok(()) => "the server ended the body".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            let broken = Break { service: service.name, backend, at: Instant::now(), why };
            lock(&shared).breaks.push(broken);
        });
    }
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Receives until something is wrong.
async fn hold(target: SocketAddr, backend: &mut String, shared: &Mutex<Shared>) -> Result<()> {
    let opening = open(target, None, Method::GET, "/stream", Bytes::new());
    let response =
        tokio::time::timeout(ESTABLISH_PATIENCE, opening).await.context("no answer")??;
    *backend = backend_of(&response)?;
    let mut body = response.into_body();
    let mut position = 0_u64;
    loop {
        let Ok(frame) = tokio::time::timeout(STALL, body.frame()).await else {
            bail!("nothing arrived for {} s, after {position} bytes", STALL.as_secs());
        };
        let Some(frame) = frame else { return Ok(()) };
        let frame = frame.with_context(|| format!("after {position} bytes"))?;
        let Ok(data) = frame.into_data() else { continue };
        if let Some(difference) = pattern::first_difference(position, &data) {
            bail!("byte {difference} is not what was sent");
        }
        let mut shared = lock(shared);
        if position == 0 {
            *shared.established.entry(backend.clone()).or_default() += 1;
        }
        position += data.len() as u64;
        shared.received_bytes += data.len() as u64;
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
