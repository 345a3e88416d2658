//! Tells when files of the configuration directory change.

use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Directory;
use super::directory::Fingerprint;

/// Editors and `cp` make several changes of one; they are awaited for so long.
const SETTLE: Duration = Duration::from_millis(200);

/// How often the directory is looked at without being told: it may not exist yet, or lie on a file system without
/// notifications.
const POLL: Duration = Duration::from_secs(5);

/// Sends a word whenever the directory changed since this call; ends when nobody listens.
pub fn watch(directory: Directory, changed: mpsc::Sender<()>) -> impl Future<Output = ()> + Send {
    // Now, and not when the task first runs: whoever reads the files after this call misses no change.
    let before = directory.fingerprint();
    look(directory, before, changed)
}

async fn look(directory: Directory, mut before: Fingerprint, changed: mpsc::Sender<()>) {
    let (notes, mut noted) = mpsc::channel(1);
    let mut watcher = None;
    loop {
        if watcher.is_none() {
            watcher = start(&directory, notes.clone());
        }
        tokio::select! {
            () = changed.closed() => return,
            _ = timeout(POLL, noted.recv()) => {}
        }
        sleep(SETTLE).await;
        while noted.try_recv().is_ok() {
            sleep(SETTLE).await;
        }
        if !directory.path().exists() {
            // The watch is gone with the directory.
            watcher = None;
        }
        let now = directory.fingerprint();
        if now == before {
            continue;
        }
        before = now;
        debug!(directory = %directory.path().display(), "configuration directory changed");
        if changed.send(()).await.is_err() {
            return;
        }
    }
}

fn start(directory: &Directory, notes: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    if !directory.path().exists() {
        return None;
    }
    // A full channel is a note that is not read yet: one is enough.
    let note = move |_| {
        let _ = notes.try_send(());
    };
    let watching = notify::recommended_watcher(note).and_then(|mut watcher| {
        watcher.watch(directory.path(), RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    watching
        .inspect_err(|error| {
            warn!(directory = %directory.path().display(), %error, "not told of changes, looking every {POLL:?}");
        })
        .ok()
}
