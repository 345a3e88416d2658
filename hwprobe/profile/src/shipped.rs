//! Profiles that come with Sluice.

use crate::{LoadError, Profile};

const SHIPPED: &[(&str, &str)] = &[];

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The text of a shipped profile.
pub fn text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|(other, _)| *other == name).map(|(_, text)| *text)
}

/// A shipped profile; none if there is none of this name.
///
/// # Errors
/// [`LoadError`]; a test sees to it that none is shipped that cannot be read.
pub fn profile(name: &str) -> Option<Result<Profile, LoadError>> {
    text(name).map(Profile::from_json)
}
