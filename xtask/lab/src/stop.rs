//! Ctrl-C and friends: asked for at every wait, so that everything is taken away in order.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

/// Whether the user wants to end.
#[derive(Clone, Default)]
pub(crate) struct Stop {
    shared: Arc<(Mutex<bool>, Condvar)>,
}

impl Stop {
    /// Listens for the signals that ask a program to end.
    pub(crate) fn on_signals() -> Result<Self> {
        let stop = Stop::default();
        let heard = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut interrupt, mut terminate, mut hangup) = {
            let _inside = runtime.enter();
            let listen = |kind| signal(kind).context("cannot listen for signals");
            (
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
            )
        };
        std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                    _ = hangup.recv() => {}
                }
            });
            heard.request();
            // The handlers stay in place: a second Ctrl-C must not end the work of taking everything away.
            std::mem::forget(runtime);
        });
        Ok(stop)
    }

    fn request(&self) {
        let (requested, changed) = &*self.shared;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether the user asked to end.
    pub(crate) fn requested(&self) -> bool {
        *self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits; returns early when the user asks to end.
    pub(crate) fn wait(&self, duration: Duration) {
        let (requested, changed) = &*self.shared;
        let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = changed.wait_timeout_while(guard, duration, |requested| !*requested);
    }

    /// Waits; an error when the user asks to end.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<()> {
        self.wait(duration);
        if self.requested() {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Asks again and again until something is there, at most for a time.
    pub(crate) fn wait_for<T>(
        &self,
        patience: Duration,
        what: &str,
        mut ask: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            if let Some(found) = ask()? {
                return Ok(found);
            }
            if started.elapsed() > patience {
                bail!("{what}: not within {} s", patience.as_secs());
            }
            self.sleep(Duration::from_millis(50))?;
        }
    }

    /// Waits until the user asks to end.
    pub(crate) fn wait_until_requested(&self) {
        while !self.requested() {
            self.wait(Duration::from_secs(3600));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_a_wait() {
        let stop = Stop::default();
        assert!(stop.sleep(Duration::from_millis(1)).is_ok());
        let other = stop.clone();
        let waiting = std::thread::spawn(move || other.sleep(Duration::from_secs(60)));
        stop.request();
        assert!(waiting.join().unwrap().is_err());
    }

    #[test]
    fn patience_ends() {
        let never =
            Stop::default().wait_for(Duration::from_millis(1), "a miracle", || Ok(None::<()>));
        assert_eq!(never.unwrap_err().to_string(), "a miracle: not within 0 s");
    }
}
