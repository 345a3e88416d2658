//! `cargo xtask build-ebpf`: compiles the eBPF programs, checks the objects, puts them where they are embedded.

mod calls;
mod object_file;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use self::object_file::Place;
use crate::setup::{self, Toolchain};
use crate::{offload, paths, run};

/// A workspace of eBPF programs.
struct Workspace {
    folder: &'static str,
    package: &'static str,
    objects: &'static [&'static str],
    place: Place,
}

const WORKSPACES: [Workspace; 2] = [
    // The gateway's programs, those of the laboratory's backends, those of the benchmarks.
    Workspace {
        folder: "ebpf-host",
        package: "sluice-ebpf-host",
        objects: &["host", "lab", "bench"],
        place: Place::Host,
    },
    Workspace {
        folder: "ebpf-offload",
        package: "sluice-ebpf-offload",
        objects: &CARD_OBJECTS,
        place: Place::Card,
    },
];

/// The programs for cards: their stages, and where they are hooked.
pub(crate) const CARD_OBJECTS: [&str; 4] =
    ["card-prefilter-xdp", "card-service-xdp", "card-both-xdp", "card-prefilter-tc"];
const TARGET: &str = "bpfel-unknown-none";
/// BTF from full debug information; the instruction set of kernel 5.8 and newer (32-bit jumps, atomics). The linker's
/// default, copies expanded in order, makes LLVM's BPF backend emit a call for every `memset`, however small, and
/// where the optimiser merges stores into one depends on the version of LLVM.
const FLAGS: &str =
    "-Cdebuginfo=2 -Clink-arg=--btf -Clink-arg=--disable-expand-memcpy-in-order -Ctarget-cpu=v3";

pub(crate) fn build() -> Result<()> {
    let target_folder = paths::cache().join("ebpf-target");
    for workspace in &WORKSPACES {
        compile(workspace, &target_folder)?;
        for name in workspace.objects {
            let built = target_folder.join(TARGET).join("release").join(name);
            let bytes = fs::read(&built).with_context(|| {
                format!(
                    "{} built no program {name}: {} is missing",
                    workspace.package,
                    built.display()
                )
            })?;
            let report = object_file::check(&bytes, workspace.place)
                .with_context(|| format!("{name}.o is not fit to load"))?;
            if workspace.place == Place::Card {
                offload::require(&bytes).with_context(|| format!("{name}.o is not fit to load"))?;
            }
            println!("{name}.o: {report}");
            put(&paths::ebpf_objects().join(format!("{name}.o")), &bytes)?;
        }
    }
    Ok(())
}

fn compile(workspace: &Workspace, target_folder: &Path) -> Result<()> {
    let folder = paths::root().join(workspace.folder);
    if !folder.join("Cargo.toml").is_file() {
        bail!("{} is not there: nothing to build", folder.join("Cargo.toml").display());
    }
    let toolchain = Toolchain::read()?;
    let Some(source) = setup::source_root(&toolchain) else {
        bail!(
            "the source of Rust's core library {} is missing: `cargo xtask setup`",
            toolchain.version
        );
    };
    let mut cargo = run::cargo();
    cargo
        .current_dir(folder)
        .args(["build", "--release", "--package", workspace.package, "--target", TARGET])
        .args(["-Z", "build-std=core"])
        .arg("--target-dir")
        .arg(target_folder)
        // The stable compiler builds core for this target as the nightly one does; this only opens the door.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", FLAGS)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTC_WORKSPACE_WRAPPER");
    for name in workspace.objects {
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
