//! The link by which the first administrator is made: it works once, and only while there is no user.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{NoRandom, Secret};

/// The link's secret, while the link works.
#[derive(Debug)]
pub(super) struct Setup(Mutex<Option<Secret>>);

impl Setup {
    pub(super) fn new(needed: bool) -> Result<Self, NoRandom> {
        let token = if needed { Some(Secret::random()?) } else { None };
        Ok(Self(Mutex::new(token)))
    }

    fn token(&self) -> MutexGuard<'_, Option<Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Option<Secret> {
        self.token().clone()
    }

    pub(super) fn is(&self, given: &Secret) -> bool {
        self.token().as_ref().is_some_and(|token| token.is(given.reveal().as_bytes()))
    }

    /// The link is dead from now on.
    pub(super) fn end(&self) {
        *self.token() = None;
    }
}
