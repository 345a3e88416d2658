//! The Rust toolchain in use: what its core library and its bitcode need.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::run;

pub(crate) struct Toolchain {
    /// As in `1.95.0` or `1.97.0-nightly`.
    pub(crate) version: String,
    /// The LLVM that the compiler was built with; its bitcode wants a linker at least as new.
    pub(crate) llvm_major: u32,
    pub(crate) sysroot: PathBuf,
}

impl Toolchain {
    pub(crate) fn read() -> Result<Self> {
        let verbose = run::output(run::rustc().arg("-vV"))?;
        let sysroot = run::output(run::rustc().args(["--print", "sysroot"]))?;
        Self::parse(&verbose, sysroot.trim())
    }

    fn parse(verbose: &str, sysroot: &str) -> Result<Self> {
        let field =
            |key: &str| verbose.lines().find_map(|line| line.strip_prefix(key)).map(str::trim);
        let version = field("release:").context("`rustc -vV` names no release")?.to_owned();
        let llvm_major = field("LLVM version:")
            .and_then(|version| version.split('.').next()?.parse().ok())
            .context(
                "`rustc -vV` names no LLVM version: the eBPF programs need rustc's LLVM backend",
            )?;
        Ok(Toolchain { version, llvm_major, sysroot: PathBuf::from(sysroot) })
    }
}

#[cfg(test)]
impl Toolchain {
    pub(crate) fn of_tests(version: &str, llvm_major: u32) -> Self {
        Toolchain { version: version.to_owned(), llvm_major, sysroot: PathBuf::from("/nowhere") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_and_llvm_come_from_the_verbose_version() -> Result<()> {
        let verbose = "rustc 1.95.0 (59807616e 2026-04-14)\nhost: x86_64-unknown-linux-gnu\n\
                       release: 1.95.0\nLLVM version: 22.1.2\n";
        let toolchain = Toolchain::parse(verbose, "/x")?;
        assert_eq!((toolchain.version.as_str(), toolchain.llvm_major), ("1.95.0", 22));
        assert!(Toolchain::parse("release: 1.95.0\n", "/x").is_err());
        Ok(())
    }
}
