//! The source of Rust's core library, which is compiled for the eBPF target. It must be of the compiler's own
//! version: core uses the compiler's internals.
//!
//! Three places, in this order: the toolchain; rustup, which adds it to the toolchain; Debian's `rust-src` package
//! of the same upstream version, unpacked below `.cache` and never installed, because it may come from another
//! suite than the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Need, State, Toolchain};
use crate::debian::{self, PrivateApt, upstream_version};
use crate::{paths, run};

/// Suites of Debian that carry compilers newer than a release's own.
const SUITES: [&str; 4] = ["trixie-backports", "testing", "unstable", "trixie"];

/// Where the source is, when it is somewhere else than in the toolchain: for `__CARGO_TESTS_ONLY_SRC_ROOT`.
pub(crate) enum SourceRoot {
    Toolchain,
    Cache(PathBuf),
}

pub(crate) fn source_root(toolchain: &Toolchain) -> Option<SourceRoot> {
    let in_toolchain = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    let in_cache = cached(&toolchain.version);
    if has_core(&in_toolchain) {
        Some(SourceRoot::Toolchain)
    } else if has_core(&in_cache) {
        Some(SourceRoot::Cache(in_cache))
    } else {
        None
    }
}

pub(crate) fn need(toolchain: &Toolchain) -> Need {
    let version = toolchain.version.clone();
    let state = match source_root(toolchain) {
        Some(SourceRoot::Toolchain) => State::Present("in the toolchain".to_owned()),
        Some(SourceRoot::Cache(folder)) => State::Present(folder.display().to_string()),
        None => State::Missing { commands: commands(&version), install: Box::new(install) },
    };
    Need {
        name: format!("rust-src {}", toolchain.version),
        purpose: "the core library is compiled for the eBPF target",
        state,
    }
}

fn commands(version: &str) -> Vec<String> {
    if run::find_program("rustup").is_some() {
        vec!["rustup component add rust-src".to_owned()]
    } else {
        vec![format!(
            "cargo xtask setup    # no rustup here: it unpacks Debian's rust-src {version} below .cache"
        )]
    }
}

fn install() -> Result<()> {
    let toolchain = Toolchain::read()?;
    if run::find_program("rustup").is_some() {
        let added = run::run(Command::new("rustup").args(["component", "add", "rust-src"]));
        if source_root(&toolchain).is_some() {
            return Ok(());
        }
        if let Err(error) = added {
            println!("rustup cannot add rust-src here ({error:#}); trying Debian's package");
        }
    }
    from_debian(&toolchain.version)?;
    if source_root(&toolchain).is_none() {
        bail!("Debian's rust-src {} has no core library where it is expected", toolchain.version);
    }
    Ok(())
}

/// The folder `library` of an unpacked Debian package.
fn cached(version: &str) -> PathBuf {
    paths::cache().join("rust-src").join(version).join(format!("usr/src/rustc-{version}/library"))
}

fn has_core(library: &Path) -> bool {
    library.join("core/src/lib.rs").is_file()
}

fn from_debian(version: &str) -> Result<()> {
    let other_way = format!(
        "rust-src {version} is not to be had from Debian: use a toolchain of rustup's and \
         `rustup component add rust-src`"
    );
    let mirror = debian::mirror().with_context(|| other_way.clone())?;
    for suite in SUITES {
        let Ok(apt) = PrivateApt::create(suite, &mirror, &[suite]) else { continue };
        let listing = apt.madison("rust-src")?;
        let Some(package_version) = matching_version(&listing, version) else { continue };
        println!("rust-src {package_version} of {suite}");
        let package = apt.download(&format!("rust-src={package_version}"))?;
        let destination = paths::cache().join("rust-src").join(version);
        unpack_library(&package, &destination, &package_version)?;
        return apt.forget_downloads();
    }
    bail!(other_way)
}

/// The newest package whose upstream version is the compiler's, from the output of `apt-cache madison`.
fn matching_version(madison: &str, compiler: &str) -> Option<String> {
    debian::versions(madison)
        .find(|package| upstream_version(package) == compiler)
        .map(str::to_owned)
}

/// Unpacks only the folder `library`: the package holds the whole compiler, seven times as much.
fn unpack_library(package: &Path, destination: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(destination)?;
    let (reader, writer) = std::io::pipe()?;
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(writer)
        .spawn()
        .context("cannot start dpkg-deb")?;
    let unpacked = Command::new("tar")
        .arg("-xC")
        .arg(destination)
        .arg(format!("./usr/src/rustc-{}/library", upstream_version(version)))
        .stdin(reader)
        .status()
        .context("cannot start tar")?;
    if !archive.wait()?.success() || !unpacked.success() {
        bail!("cannot unpack rust-src {version} into {}", destination.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADISON: &str = "\
 rust-src | 1.96.1+dfsg1-2~bpo13+1 | mirror trixie-backports/main amd64 Packages
 rust-src | 1.95.0+dfsg1-2~bpo13+1 | mirror trixie-backports/main amd64 Packages
 rust-src | 1.94.1+dfsg1-1~bpo13+3 | mirror trixie-backports/main amd64 Packages
";

    #[test]
    fn rust_src_has_exactly_the_version_of_the_compiler() {
        assert_eq!(matching_version(MADISON, "1.95.0").as_deref(), Some("1.95.0+dfsg1-2~bpo13+1"));
        assert_eq!(matching_version(MADISON, "1.96.0"), None);
        assert_eq!(matching_version(MADISON, "1.97.0-nightly"), None);
        assert_eq!(matching_version("", "1.95.0"), None);
    }
}
