//! `cargo xtask ci`: everything that a change has to pass.

use std::process::ExitCode;

use anyhow::Result;

use crate::{ebpf, run, setup, tiers};

/// The host's crates, and the eBPF programs, which are workspaces of their own.
const MANIFESTS: [&str; 3] = ["Cargo.toml", "ebpf-host/Cargo.toml", "ebpf-offload/Cargo.toml"];

pub(crate) fn ci() -> Result<ExitCode> {
    setup::ensure_for_ci()?;
    for manifest in MANIFESTS {
        run::run(run::cargo().args(["fmt", "--all", "--manifest-path", manifest, "--check"]))?;
        // The advisory database cannot be fetched in continuous integration. What one workspace needs of the
        // configuration, the other may not.
        run::run(
            run::cargo()
                .args(["deny", "--manifest-path", manifest, "--config", "deny.toml", "check"])
                .args(["-A", "unmatched-skip", "-A", "license-exception-not-encountered"])
                .args(["licenses", "bans", "sources"]),
        )?;
    }
    ebpf::build()?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    run::run(run::cargo().args(clippy))?;
    tiers::test(&tiers::Options { all_must_run: true, ..tiers::Options::default() })
}
