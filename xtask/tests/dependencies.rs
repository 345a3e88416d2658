//! Dependencies between the crates of the workspace point one way.

#![allow(clippy::expect_used, reason = "a test ends where it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate and the crates of the workspace that it may use, tests aside.
const ARROWS: &[(&str, &[&str])] = &[
    ("sluice-datapath", &[]),
    ("sluice-model", &["sluice-datapath"]),
    ("sluice-kernel", &["sluice-datapath"]),
    ("sluice-profile", &[]),
    ("sluice-console", &[]),
    ("sluice-hwprobe", &["sluice-kernel", "sluice-profile"]),
    ("sluice-planner", &["sluice-datapath", "sluice-model", "sluice-profile"]),
    (
        "sluice-appliance",
        &[
            "sluice-datapath",
            "sluice-model",
            "sluice-kernel",
            "sluice-planner",
            "sluice-profile",
            "sluice-hwprobe",
            "sluice-console",
        ],
    ),
    ("sluice-lab", &["sluice-datapath", "sluice-kernel", "sluice-model", "sluice-netdevsim"]),
    ("sluice-netdevsim", &[]),
    ("sluice-vm-tests", &["sluice-datapath", "sluice-kernel", "sluice-netdevsim"]),
    ("sluice-benchmarks", &["sluice-datapath", "sluice-kernel", "sluice-model", "sluice-planner"]),
    ("xtask", &[]),
];

/// Crates that do no I/O: they may not use these.
const PURE: &[&str] = &["sluice-datapath", "sluice-model", "sluice-planner", "sluice-profile"];
const INPUT_AND_OUTPUT: &[&str] =
    &["tokio", "nix", "libc", "aya", "aya-obj", "rtnetlink", "hyper", "axum", "reqwest", "notify"];

fn packages() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version=1"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo metadata runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("a list of packages");
    packages
        .iter()
        .map(|package| {
            let uses = package["dependencies"].as_array().into_iter().flatten();
            // `kind` is null for ordinary dependencies.
            let uses = uses
                .filter(|dependency| dependency["kind"].is_null())
                .filter_map(|dependency| dependency["name"].as_str().map(str::to_owned));
            (package["name"].as_str().unwrap_or_default().to_owned(), uses.collect())
        })
        .collect()
}

#[test]
fn dependencies_point_one_way() {
    let packages = packages();
    for (package, uses) in &packages {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| name == package) else {
            panic!("{package} is not in the list of this test: add it, with the crates it may use");
        };
        let ours = uses.iter().filter(|name| packages.contains_key(*name));
        for name in ours {
            assert!(allowed.contains(&name.as_str()), "{package} must not depend on {name}");
        }
    }
}

#[test]
fn pure_crates_do_no_input_or_output() {
    let packages = packages();
    for package in PURE {
        let uses = packages.get(*package).unwrap_or_else(|| panic!("no package {package}"));
        for name in INPUT_AND_OUTPUT {
            assert!(!uses.contains(*name), "{package} is pure and must not depend on {name}");
        }
    }
}
