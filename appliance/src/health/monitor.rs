//! The tasks that probe: one per check, so that a changed check restarts nothing but itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use super::track::{Report, Track, Verdict};
use super::{BackendKey, Check, Prober};

/// New checks begin this far apart, so that ten thousand of them do not begin at once.
const START_SPACING: Duration = Duration::from_micros(100);

/// Intervals vary by this fraction, so that checks do not stay in step.
const JITTER: f64 = 0.1;

/// Probes backends and knows what is known of them. Dropping it ends all probes.
pub struct Monitor {
    checks: HashMap<BackendKey, Running>,
    changed: mpsc::UnboundedSender<BackendKey>,
    /// Bounds the sockets that probes hold.
    permits: Arc<Semaphore>,
    prober: Arc<dyn Prober>,
}

#[derive(Debug)]
struct Running {
    check: Check,
    track: Arc<Mutex<Track>>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Monitor {
    /// A monitor with no checks that probes at most `concurrent` backends at one time, and where it tells whose report
    /// changed. Must be used within a tokio runtime.
    pub fn new(
        concurrent: usize,
        prober: Arc<dyn Prober>,
    ) -> (Self, mpsc::UnboundedReceiver<BackendKey>) {
        let (changed, changes) = mpsc::unbounded_channel();
        let permits = Arc::new(Semaphore::new(concurrent));
        (Self { checks: HashMap::new(), changed, permits, prober }, changes)
    }

    /// Makes these the checks that run. Checks that were there before go on undisturbed; changed ones keep what is known
    /// of their backend; new ones begin with what `known` says.
    pub fn set(
        &mut self,
        wanted: Vec<(BackendKey, Check)>,
        known: impl Fn(&BackendKey) -> Verdict,
    ) {
        let mut before = std::mem::take(&mut self.checks);
        for (key, _) in &wanted {
            if let Some(running) = before.remove(key) {
                self.checks.insert(key.clone(), running);
            }
        }
        drop(before);
        self.begin(wanted, known);
    }

    /// Ends the check of a backend.
    pub fn end(&mut self, key: &BackendKey) {
        self.checks.remove(key);
    }

    /// The same as [`Self::set`] with those that are not `wanted` left alone.
    pub fn begin(
        &mut self,
        wanted: Vec<(BackendKey, Check)>,
        known: impl Fn(&BackendKey) -> Verdict,
    ) {
        let mut started = 0;
        let now = Timestamp::now();
        for (key, check) in wanted {
            let running = match self.checks.remove(&key) {
                Some(running) if running.check == check => running,
                running => {
                    started += 1;
                    let track = match running {
                        Some(running) => running.track.clone(),
                        None => Arc::new(Mutex::new(Track::new(known(&key), now))),
                    };
                    self.start(key.clone(), check, track, started)
                }
            };
            self.checks.insert(key, running);
        }
    }

    fn start(
        &self,
        key: BackendKey,
        check: Check,
        track: Arc<Mutex<Track>>,
        position: u32,
    ) -> Running {
        let spread = check.health.interval.as_duration().min(START_SPACING * position);
        let task = run(
            key,
            check.clone(),
            track.clone(),
            Instant::now() + spread.mul_f64(rand::random()),
            self.changed.clone(),
            self.permits.clone(),
            self.prober.clone(),
        );
        Running { check, track, task: tokio::spawn(task).abort_handle() }
    }

    /// What is known of a backend; `None` if it is not probed.
    pub fn report(&self, key: &BackendKey) -> Option<Report> {
        self.checks.get(key).map(|running| lock(&running.track).report().clone())
    }

    /// How many checks there are.
    pub fn len(&self) -> usize {
        self.checks.len()
    }

    /// Whether there is no check.
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty()
    }
}

async fn run(
    key: BackendKey,
    check: Check,
    track: Arc<Mutex<Track>>,
    mut next: Instant,
    changed: mpsc::UnboundedSender<BackendKey>,
    permits: Arc<Semaphore>,
    prober: Arc<dyn Prober>,
) {
    let health = check.health.clone();
    loop {
        sleep_until(next).await;
        let Ok(permit) = permits.acquire().await else { return };
        let started = Instant::now();
        let result = prober.probe(&check).await;
        drop(permit);
        let news = lock(&track).record(result, health.rise, health.fall, Timestamp::now());
        if news && changed.send(key.clone()).is_err() {
            return;
        }
        let factor = rand::random_range(1.0 - JITTER..=1.0 + JITTER);
        next = started + health.interval.as_duration().mul_f64(factor);
    }
}

/// A panic while the lock was held cannot have left a track half changed.
fn lock(track: &Mutex<Track>) -> MutexGuard<'_, Track> {
    track.lock().unwrap_or_else(PoisonError::into_inner)
}
