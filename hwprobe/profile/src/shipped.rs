//! Profiles that come with Sluice.

use crate::{LoadError, Profile};

const SHIPPED: &[(&str, &str)] = &[
    ("netdevsim-6.12", include_str!("../shipped/netdevsim-6.12.json")),
    ("netdevsim-7.2", include_str!("../shipped/netdevsim-7.2.json")),
    ("veth", include_str!("../shipped/veth.json")),
    ("virtio", include_str!("../shipped/virtio.json")),
    ("nfp", include_str!("../shipped/nfp.json")),
    ("mlx5", include_str!("../shipped/mlx5.json")),
    ("ice", include_str!("../shipped/ice.json")),
];

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
