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
use crate::{paths, run};

/// Suites of Debian that carry compilers newer than a release's own.
const SUITES: [&str; 4] = ["trixie-backports", "testing", "unstable", "trixie"];
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

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
    let mirror = debian_mirror().with_context(|| other_way.clone())?;
    for suite in SUITES {
        let apt = PrivateApt::create(&mirror, suite)?;
        let Ok(listing) = apt.versions() else { continue };
        let Some(package_version) = matching_version(&listing, version) else { continue };
        println!("rust-src {package_version} of {suite}");
        return apt.unpack(&package_version, &paths::cache().join("rust-src").join(version));
    }
    bail!(other_way)
}

/// The mirror of Debian's main archive that this machine uses: users behind a mirror of their own are served too.
fn debian_mirror() -> Result<String> {
    let targets = run::output(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(ORIGIN) $(LABEL) $(REPO_URI)",
    ]))
    .context("no apt here")?;
    mirror_of(&targets).context("apt knows no Debian archive: run `apt-get update` first")
}

/// Security and other archives have a label of their own. Before the first `apt-get update` there are no labels,
/// only addresses.
fn mirror_of(targets: &str) -> Option<String> {
    let labelled = targets.lines().find_map(|line| line.strip_prefix("Debian Debian "));
    let by_address = || {
        targets.lines().map(str::trim).find(|address| {
            !address.contains(' ') && address.trim_end_matches('/').ends_with("/debian")
        })
    };
    labelled.or_else(by_address).map(|address| address.trim().to_owned())
}

/// The newest package whose upstream version is the compiler's, from the output of `apt-cache madison`.
fn matching_version(madison: &str, compiler: &str) -> Option<String> {
    madison
        .lines()
        .filter_map(|line| line.split('|').nth(1).map(str::trim))
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

/// `1.95.0` of `1.95.0+dfsg1-2~bpo13+1`.
fn upstream_version(package_version: &str) -> &str {
    package_version.split(['+', '-', '~']).next().unwrap_or_default()
}

/// An apt whose sources and lists are below `.cache`, so that the machine's own configuration stays as it is.
struct PrivateApt {
    folder: PathBuf,
}

impl PrivateApt {
    fn create(mirror: &str, suite: &str) -> Result<Self> {
        let folder = paths::cache().join("apt").join(suite);
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("archives/partial"))?;
        let source = format!("deb [signed-by={KEYRING}] {mirror} {suite} main\n");
        fs::write(folder.join("sources.list"), source)?;
        Ok(PrivateApt { folder })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let option =
            |name: &str, file: &str| format!("{name}={}", self.folder.join(file).display());
        let options = [
            option("Dir::State::Lists", "lists"),
            option("Dir::Cache", "."),
            option("Dir::Cache::archives", "archives"),
            option("Dir::Etc::sourcelist", "sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            // The unprivileged user of apt's downloads cannot write below the repository.
            "APT::Sandbox::User=root".to_owned(),
        ];
        for option in options {
            command.arg("-o").arg(option);
        }
        command.current_dir(&self.folder);
        command
    }

    fn versions(&self) -> Result<String> {
        run::output(self.command("apt-get").arg("update"))?;
        run::output(self.command("apt-cache").args(["madison", "rust-src"]))
    }

    fn unpack(&self, version: &str, destination: &Path) -> Result<()> {
        // What an interrupted download left would be unpacked with it.
        for file in self.packages()? {
            fs::remove_file(file)?;
        }
        run::output(self.command("apt-get").arg("download").arg(format!("rust-src={version}")))?;
        let packages = self.packages()?;
        let [package] = packages.as_slice() else {
            bail!("apt downloaded {} files instead of one rust-src", packages.len());
        };
        unpack_library(package, destination, version)?;
        fs::remove_file(package)?;
        Ok(())
    }

    fn packages(&self) -> Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                found.push(path);
            }
        }
        Ok(found)
    }
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

    #[test]
    fn the_mirror_is_the_machines_own_main_archive() {
        let targets =
            "Debian Debian-Security file:/security/\nDebian Debian file:/mirror/debian/\n";
        assert_eq!(mirror_of(targets).as_deref(), Some("file:/mirror/debian/"));
        assert_eq!(
            mirror_of("  file:/security/\n  file:/mirror/debian\n").as_deref(),
            Some("file:/mirror/debian")
        );
        assert_eq!(mirror_of("Google Cloud file:/x/debian\n"), None);
    }
}
