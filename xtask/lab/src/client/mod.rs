//! Clients: threads inside the client's namespace, each with a runtime of its own.

mod hold;
mod load;
mod request;
mod steady;
mod tcp_counters;

pub(crate) use hold::{Break, Hold};
pub(crate) use load::load;
pub(crate) use request::{download, get, get_from, upload};
pub(crate) use steady::{Record, Steady};
pub(crate) use tcp_counters::{lost_segments, repeated_syns};

use std::future::Future;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow};

use crate::topology::{Door, Namespace};

/// Runs a future inside a namespace and waits for it.
pub(crate) fn run_in<T: Send, F: Future<Output = T>>(
    namespace: &Namespace,
    begin: impl FnOnce() -> F + Send,
) -> Result<T> {
    namespace.enter(|| Ok(runtime()?.block_on(begin())))
}

/// Starts a future inside a namespace, in a thread that goes on until it ends.
fn start_in<T: Send + 'static>(
    door: Door,
    name: &str,
    future: impl Future<Output = T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            door.pass()?;
            Ok(runtime()?.block_on(future))
        })
        .with_context(|| format!("cannot start the thread of {name}"))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a client panicked"))?
}
