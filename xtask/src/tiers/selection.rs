//! Which test target belongs to which tier.
//!
//! Integration tests of the kernel crate run the real programs: they are of the tier `program`. Elsewhere the file's
//! name says it: `tests/netns_*.rs`, `tests/program_*.rs`, `tests/vm_*.rs`. Everything else is native.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Tier;
use crate::run;

/// The crate whose integration tests load programs into the kernel.
const KERNEL_PACKAGE: &str = "sluice-kernel";

#[derive(Debug)]
struct Target {
    package: String,
    name: String,
    tier: Tier,
}

/// Every integration test of the workspace.
#[derive(Debug)]
pub(crate) struct Selection {
    targets: Vec<Target>,
}

impl Selection {
    pub(crate) fn read() -> Result<Self> {
        let metadata =
            run::output(run::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
        Self::parse(&metadata)
    }

    fn parse(metadata: &str) -> Result<Self> {
        let metadata: Value =
            serde_json::from_str(metadata).context("`cargo metadata` wrote no JSON")?;
        let list =
            |value: &Value, field: &str| value[field].as_array().cloned().unwrap_or_default();
        let mut targets = Vec::new();
        for package in list(&metadata, "packages") {
            let package_name = package["name"].as_str().unwrap_or_default();
            for target in list(&package, "targets") {
                if list(&target, "kind").iter().any(|kind| kind == "test") {
                    let name = target["name"].as_str().unwrap_or_default().to_owned();
                    let tier = tier_of(package_name, &name);
                    targets.push(Target { package: package_name.to_owned(), name, tier });
                }
            }
        }
        Ok(Selection { targets })
    }

    /// The arguments of each `cargo test` that the tier takes.
    pub(crate) fn of(&self, tier: Tier) -> Vec<Vec<String>> {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let integration = self.integration_tests(tier);
        if tier != Tier::Native {
            return integration.into_iter().collect();
        }
        let mut runs = vec![words(&["--workspace", "--lib", "--bins"])];
        runs.extend(integration);
        runs.push(words(&["--workspace", "--doc"]));
        runs
    }

    /// One run for all: cargo selects packages and targets apart, and compiles no other target of the package.
    fn integration_tests(&self, tier: Tier) -> Option<Vec<String>> {
        let mut arguments = Vec::new();
        for target in self.targets.iter().filter(|target| target.tier == tier) {
            arguments.extend(["--package".to_owned(), target.package.clone()]);
            arguments.extend(["--test".to_owned(), target.name.clone()]);
        }
        (!arguments.is_empty()).then_some(arguments)
    }
}

fn tier_of(package: &str, target: &str) -> Tier {
    if target.starts_with("vm_") {
        Tier::Vm
    } else if target.starts_with("netns") {
        Tier::Netns
    } else if target.starts_with("program") || package == KERNEL_PACKAGE {
        Tier::Program
    } else {
        Tier::Native
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = r#"{"packages": [
        {"name": "sluice-kernel", "targets": [
            {"kind": ["lib"], "name": "sluice_kernel"}, {"kind": ["test"], "name": "fixtures"},
            {"kind": ["test"], "name": "netns_attach"}, {"kind": ["test"], "name": "vm_card"}]},
        {"name": "sluice-model", "targets": [{"kind": ["test"], "name": "bad"}]}]}"#;

    #[test]
    fn every_integration_test_has_one_tier() -> Result<()> {
        let selection = Selection::parse(METADATA)?;
        assert_eq!(
            selection.of(Tier::Program),
            [["--package", "sluice-kernel", "--test", "fixtures"]]
        );
        assert_eq!(
            selection.of(Tier::Netns),
            [["--package", "sluice-kernel", "--test", "netns_attach"]]
        );
        assert_eq!(selection.of(Tier::Vm), [["--package", "sluice-kernel", "--test", "vm_card"]]);
        let native = selection.of(Tier::Native);
        assert_eq!(native.len(), 3);
        assert_eq!(native[1], ["--package", "sluice-model", "--test", "bad"]);
        Ok(())
    }

    #[test]
    fn a_tier_without_tests_runs_nothing() -> Result<()> {
        assert!(Selection::parse(r#"{"packages": []}"#)?.of(Tier::Program).is_empty());
        Ok(())
    }
}
