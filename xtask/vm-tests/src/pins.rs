//! A place for pinned objects that is gone after the test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder in the BPF file system.
#[derive(Debug)]
pub struct Pins(PathBuf);

impl Pins {
    /// A new and empty one.
    ///
    /// # Panics
    /// When there is no BPF file system.
    #[must_use]
    pub fn create() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("/sys/fs/bpf/sluice-vm-{}-{number}", std::process::id());
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
        Self(folder.into())
    }

    /// Where an object of this name is pinned.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}
