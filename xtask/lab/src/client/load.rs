//! Many short requests, each on a new connection.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::task::LocalSet;

use super::{get, run_in};
use crate::topology::Namespace;

/// What came of it.
#[derive(Default)]
pub(crate) struct Load {
    /// Answers by the name of the backend.
    pub(crate) answers: BTreeMap<String, usize>,
    /// Failures by their text.
    pub(crate) failures: BTreeMap<String, usize>,
    pub(crate) duration: Duration,
}

impl Load {
    pub(crate) fn failed(&self) -> usize {
        self.failures.values().sum()
    }

    /// The failure that was seen most often.
    pub(crate) fn main_failure(&self) -> &str {
        let most = self.failures.iter().max_by_key(|(_, count)| **count);
        most.map_or("", |(text, _)| text.as_str())
    }
}

/// Makes `count` requests for `/`, at most `concurrency` at a time.
pub(crate) fn load(
    client: &Namespace,
    target: SocketAddr,
    count: usize,
    concurrency: usize,
) -> Result<Load> {
    run_in(client, move || async move {
        let started = Instant::now();
        let left = Rc::new(Cell::new(count));
        let result = Rc::new(RefCell::new(Load::default()));
        let workers = LocalSet::new();
        for _ in 0..concurrency {
            workers.spawn_local(work(target, left.clone(), result.clone()));
        }
        workers.await;
        let mut load = result.take();
        load.duration = started.elapsed();
        load
    })
}

async fn work(target: SocketAddr, left: Rc<Cell<usize>>, result: Rc<RefCell<Load>>) {
    while let Some(fewer) = left.get().checked_sub(1) {
        left.set(fewer);
        let outcome = get(target, "/").await;
        let mut result = result.borrow_mut();
        match outcome {
            Ok(answer) => *result.answers.entry(answer.backend).or_default() += 1,
            Err(error) => *result.failures.entry(format!("{error:#}")).or_default() += 1,
        }
    }
}
