//! Takes the eBPF object of the host programs, which `cargo xtask build-ebpf` makes, into the crate.

use std::{env, error::Error, fs, path::PathBuf};

/// Another object than the workspace's, for builds that bring their own.
const OVERRIDE: &str = "SLUICE_HOST_OBJECT";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed={OVERRIDE}");
    let object = match env::var_os(OVERRIDE) {
        Some(path) => PathBuf::from(path),
        None => PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../.cache/ebpf/host.o"),
    };
    println!("cargo::rerun-if-changed={}", object.display());
    let copy = PathBuf::from(env::var("OUT_DIR")?).join("host.o");
    if let Err(error) = fs::copy(&object, copy) {
        println!(
            "cargo::error=the eBPF programs are missing ({}: {error}): run `cargo xtask build-ebpf` first",
            object.display()
        );
    }
    Ok(())
}
