//! `cargo xtask build-ebpf`: compiles the eBPF programs, checks the objects, puts them where they are embedded.

mod calls;
mod object_file;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::setup::{self, Toolchain};
use crate::{paths, run};

/// The programs of `ebpf-host`: the gateway's, those of the laboratory's backends, those of the benchmarks.
const OBJECTS: [&str; 3] = ["host", "lab", "bench"];
const PACKAGE: &str = "sluice-ebpf-host";
const TARGET: &str = "bpfel-unknown-none";
/// BTF from full debug information; the instruction set of kernel 5.8 and newer (32-bit jumps, atomics). The linker's
/// default, copies expanded in order, makes LLVM's BPF backend emit a call for every `memset`, however small, and
/// where the optimiser merges stores into one depends on the version of LLVM.
const FLAGS: &str =
    "-Cdebuginfo=2 -Clink-arg=--btf -Clink-arg=--disable-expand-memcpy-in-order -Ctarget-cpu=v3";

pub(crate) fn build() -> Result<()> {
    let workspace = paths::root().join("ebpf-host");
    if !workspace.join("Cargo.toml").is_file() {
        bail!("{} is not there: nothing to build", workspace.join("Cargo.toml").display());
    }
    let target_folder = paths::cache().join("ebpf-target");
    compile(&workspace, &target_folder)?;
    for name in OBJECTS {
        let built = target_folder.join(TARGET).join("release").join(name);
        let bytes = fs::read(&built).with_context(|| {
            format!("{PACKAGE} built no program {name}: {} is missing", built.display())
        })?;
        let report =
            object_file::check(&bytes).with_context(|| format!("{name}.o is not fit to load"))?;
        println!("{name}.o: {report}");
        put(&paths::ebpf_objects().join(format!("{name}.o")), &bytes)?;
    }
    Ok(())
}

fn compile(workspace: &Path, target_folder: &Path) -> Result<()> {
    let toolchain = Toolchain::read()?;
    let Some(source) = setup::source_root(&toolchain) else {
        bail!(
            "the source of Rust's core library {} is missing: `cargo xtask setup`",
            toolchain.version
        );
    };
    let mut cargo = run::cargo();
    cargo
        .current_dir(workspace)
        .args(["build", "--release", "--package", PACKAGE, "--target", TARGET])
        .args(["-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(target_folder)
        // The stable compiler builds core for this target as the nightly one does; this only opens the door.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    for name in OBJECTS {
        cargo.args(["--bin", name]);
    }
    if let setup::SourceRoot::Cache(library) = source {
        cargo.env("__CARGO_TESTS_ONLY_SRC_ROOT", library);
    }
    run::run(&mut cargo)
}

/// Writes only what changed, in one step: cargo rebuilds whoever embeds a file that is newer.
fn put(file: &Path, bytes: &[u8]) -> Result<()> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = file.with_extension("unfinished");
    fs::write(&unfinished, bytes)?;
    fs::rename(&unfinished, file).with_context(|| format!("cannot write {}", file.display()))
}
