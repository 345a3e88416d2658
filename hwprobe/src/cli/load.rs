//! Profiles from files, and those that are shipped.

use std::fs;
use std::io;

use sluice_profile::{Profile, shipped};

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub(super) enum LoadError {
    #[error(
        "{0}: no such file and no shipped profile of this name; `hwprobe list` names the shipped ones"
    )]
    Missing(String),
    #[error("{0}: cannot be read: {1}")]
    Unreadable(String, io::Error),
    #[error("{0}: {1}")]
    Form(String, sluice_profile::LoadError),
}

/// The profile in a file, else the shipped one of this name.
pub(super) fn profile(from: &str) -> Result<Profile, LoadError> {
    let text = match fs::read_to_string(from) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => shipped::text(from)
            .map(str::to_owned)
            .ok_or_else(|| LoadError::Missing(from.to_owned()))?,
        Err(error) => return Err(LoadError::Unreadable(from.to_owned(), error)),
    };
    Profile::from_json(&text).map_err(|error| LoadError::Form(from.to_owned(), error))
}
