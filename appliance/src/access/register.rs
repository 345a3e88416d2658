//! What is known by its names, in memory and in a file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{AccessError, StateError, files};

/// Users or tokens.
#[derive(Debug)]
pub(super) struct Register<K, V> {
    path: PathBuf,
    all: Mutex<BTreeMap<K, V>>,
    writing: Mutex<()>,
}

impl<K, V> Register<K, V>
where
    K: Clone + Ord + Serialize + DeserializeOwned,
    V: Clone + Serialize + DeserializeOwned,
{
    /// Reads the file; without one, nothing is known.
    pub(super) fn open(path: PathBuf) -> Result<Self, StateError> {
        let all = Mutex::new(files::read_json(&path)?);
        Ok(Self { path, all, writing: Mutex::default() })
    }

    pub(super) fn all(&self) -> MutexGuard<'_, BTreeMap<K, V>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a copy; what was kept on disk becomes what is in force.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<K, V>) -> Result<T, AccessError>,
    ) -> Result<T, AccessError> {
        // One writer at a time; readers need not wait for the disk.
        let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = self.all().clone();
        let result = change(&mut next)?;
        files::write_json(&self.path, &next)?;
        *self.all() = next;
        Ok(result)
    }

    /// Puts others in the place of all.
    pub(super) fn replace(&self, all: BTreeMap<K, V>) -> Result<(), AccessError> {
        self.change(|known| {
            *known = all;
            Ok(())
        })
    }
}
