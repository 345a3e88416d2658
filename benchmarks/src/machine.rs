//! What the figures were measured on.

use serde::{Deserialize, Serialize};
use std::{fs, path::Path, process::Command};

/// The machine, its kernel, and the code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as it calls itself.
    pub processor: String,
    /// Processors that this system has.
    pub cpus: usize,
    /// Whether it is a virtual machine.
    pub is_virtual: bool,
    /// The kernel's release.
    pub kernel: String,
    /// What the kernel does against Spectre v2: it decides what an indirect jump costs.
    pub mitigation: String,
    /// The commit, with `-dirty` if files differ from it.
    pub commit: String,
}

impl Machine {
    /// This machine; what cannot be found is empty.
    pub fn here(repository: &Path) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name));
            line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned()))
        };
        Self {
            processor: field("model name").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            is_virtual: field("flags").is_some_and(|flags| flags.contains(" hypervisor")),
            kernel: read("/proc/sys/kernel/osrelease"),
            mitigation: read("/sys/devices/system/cpu/vulnerabilities/spectre_v2"),
            commit: commit(repository),
        }
    }

    /// In one line.
    pub fn line(&self) -> String {
        let kind = if self.is_virtual { "virtual machine" } else { "machine" };
        format!(
            "{} ({} processors, {kind}), Linux {}, commit {}; Spectre v2: {}",
            self.processor, self.cpus, self.kernel, self.commit, self.mitigation
        )
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn commit(repository: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(repository).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return "unknown".into() };
    // Results are written while more is measured, and change no program.
    let changed = git(&["status", "--porcelain", "--", ".", ":!benchmarks/results", ":!docs"]);
    if changed.is_some_and(|changed| changed.is_empty()) { commit } else { commit + "-dirty" }
}
