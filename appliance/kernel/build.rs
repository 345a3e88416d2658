//! Takes the eBPF objects, which `cargo xtask build-ebpf` makes, into the crate: that of the host programs, and those of the
//! programs for cards.

use std::{env, error::Error, fs, path::PathBuf};

/// Another host object than the workspace's, for builds that bring their own.
const HOST_OVERRIDE: &str = "SLUICE_HOST_OBJECT";
/// Another directory with the objects for cards.
const CARD_OVERRIDE: &str = "SLUICE_CARD_OBJECTS";
const CARD_OBJECTS: [&str; 4] =
    ["card-prefilter-xdp.o", "card-service-xdp.o", "card-both-xdp.o", "card-prefilter-tc.o"];

fn main() -> Result<(), Box<dyn Error>> {
    let built = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../.cache/ebpf");
    let host = env::var_os(HOST_OVERRIDE).map_or_else(|| built.join("host.o"), PathBuf::from);
    let cards = env::var_os(CARD_OVERRIDE).map_or(built, PathBuf::from);
    println!("cargo::rerun-if-env-changed={HOST_OVERRIDE}");
    println!("cargo::rerun-if-env-changed={CARD_OVERRIDE}");
    let objects = CARD_OBJECTS.map(|name| (cards.join(name), name));
    for (object, name) in objects.into_iter().chain([(host, "host.o")]) {
        println!("cargo::rerun-if-changed={}", object.display());
        let copy = PathBuf::from(env::var("OUT_DIR")?).join(name);
        if let Err(error) = fs::copy(&object, copy) {
            println!(
                "cargo::error=the eBPF programs are missing ({}: {error}): run `cargo xtask build-ebpf` first",
                object.display()
            );
        }
    }
    Ok(())
}
