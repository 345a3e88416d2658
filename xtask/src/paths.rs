//! Where things are in the repository.

use std::path::{Path, PathBuf};

/// The repository's root: the folder above this crate's.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Everything that commands download or build aside of cargo's target folder.
pub(crate) fn cache() -> PathBuf {
    root().join(".cache")
}

/// The finished eBPF objects: `host.o`, which the kernel crate embeds, and `lab.o`.
pub(crate) fn ebpf_objects() -> PathBuf {
    cache().join("ebpf")
}

/// Programs installed for this repository alone, so that the user's own versions stay.
pub(crate) fn tools_bin() -> PathBuf {
    cache().join("tools/bin")
}

/// Cargo's target folder for the host's crates.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root().join("target"), |folder| root().join(folder))
}
