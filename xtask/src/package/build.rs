//! Making the package: a folder with its files, which dpkg-deb packs. What is not compiled is in images/debian.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{ebpf, paths, run, setup};

const PROGRAMS: [(&str, &str); 3] =
    [("sluiced", "usr/sbin"), ("sluice", "usr/bin"), ("hwprobe", "usr/bin")];
/// From images/debian to the places in the package.
const FILES: [(&str, &str); 5] = [
    ("sluice.service", "usr/lib/systemd/system/sluice.service"),
    ("sluice.sysusers", "usr/lib/sysusers.d/sluice.conf"),
    ("sluice.default", "etc/default/sluice"),
    ("web.yaml", "usr/share/doc/sluice/examples/web.yaml"),
    ("copyright", "usr/share/doc/sluice/copyright"),
];
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
/// What the administrator may change, and an upgrade then keeps.
const CONFFILES: &str = "/etc/default/sluice\n";
/// The shells that the command prints completions for, and where Debian looks for them.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/sluice"),
    ("zsh", "usr/share/zsh/vendor-completions/_sluice"),
    ("fish", "usr/share/fish/vendor_completions.d/sluice.fish"),
];
const MANUAL: &str = "usr/share/man/man1";

/// Builds the programs and the package, and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    setup::ensure()?;
    ebpf::build()?;
    let packages = ["--package", "sluice-appliance", "--package", "sluice-hwprobe"];
    run::run(run::cargo().args(["build", "--release", "--locked"]).args(packages))?;
    pack("1")
}

/// A package of what is compiled already; the test of an upgrade needs the same programs in two.
pub(super) fn pack(revision: &str) -> Result<PathBuf> {
    let staged = folder().join("staged");
    // A file that is no more in the package would stay.
    let _ = fs::remove_dir_all(&staged);
    stage(&staged)?;
    describe(&staged, revision)?;
    let package = folder().join(format!("sluice-{revision}.deb"));
    let mut dpkg = Command::new("dpkg-deb");
    // Packed a tenth larger than with xz, and in a tenth of the time.
    dpkg.args(["-Zzstd", "--root-owner-group", "--build"]).arg(&staged).arg(&package);
    // Every time in the package is that of the commit, so that two packages of one commit are equal.
    run::output(dpkg.env("SOURCE_DATE_EPOCH", commit_time()?))
        .context("packages are made with dpkg-deb, which Debian and its like have")?;
    fs::remove_dir_all(&staged)?;
    Ok(package)
}

/// Everything about the package is below this folder.
pub(super) fn folder() -> PathBuf {
    paths::cache().join("package")
}

fn stage(staged: &Path) -> Result<()> {
    let programs = paths::target().join("release");
    for (name, place) in PROGRAMS {
        let program = staged.join(place).join(name);
        put(&program, &fs::read(programs.join(name)).context(name)?, 0o755)?;
        run::output(Command::new("strip").arg("--strip-unneeded").arg(&program))?;
    }
    for (name, place) in FILES {
        put(&staged.join(place), &fs::read(sources().join(name)).context(name)?, 0o644)?;
    }
    let sluice = programs.join("sluice");
    for (shell, place) in COMPLETIONS {
        let script = run::output(Command::new(&sluice).args(["completions", shell]))?;
        put(&staged.join(place), script.as_bytes(), 0o644)?;
    }
    let manual = staged.join(MANUAL);
    make_folder(&manual)?;
    run::output(Command::new(&sluice).arg("man").arg(&manual))?;
    for page in files(&manual)? {
        fs::set_permissions(&page, fs::Permissions::from_mode(0o644))?;
        run::output(Command::new("gzip").args(["-9n"]).arg(&page))?;
    }
    Ok(())
}

/// What dpkg is told about the package.
fn describe(staged: &Path, revision: &str) -> Result<()> {
    let mut bytes = 0;
    let mut sums = String::new();
    for file in files(staged)? {
        bytes += fs::metadata(&file)?.len();
        let mut md5sum = Command::new("md5sum");
        sums += &run::output(md5sum.arg(file.strip_prefix(staged)?).current_dir(staged))?;
    }
    let control = fs::read_to_string(sources().join("control"))?
        .replace("@VERSION@", &format!("{}-{revision}", env!("CARGO_PKG_VERSION")))
        .replace("@ARCHITECTURE@", architecture()?)
        .replace("@INSTALLED_SIZE@", &bytes.div_ceil(1024).to_string())
        .replace("@LIBC@", &libc_version()?);
    let description = staged.join("DEBIAN");
    put(&description.join("control"), control.as_bytes(), 0o644)?;
    put(&description.join("md5sums"), sums.as_bytes(), 0o644)?;
    put(&description.join("conffiles"), CONFFILES.as_bytes(), 0o644)?;
    for name in SCRIPTS {
        put(&description.join(name), &fs::read(sources().join("scripts").join(name))?, 0o755)?;
    }
    Ok(())
}

fn sources() -> PathBuf {
    paths::root().join("images/debian")
}

fn put(file: &Path, content: &[u8], mode: u32) -> Result<()> {
    if let Some(folder) = file.parent() {
        make_folder(folder)?;
    }
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(fs::set_permissions(file, fs::Permissions::from_mode(mode))?)
}

/// With all above it. Whatever this process's umask is: a folder that only its maker may enter would be one after the
/// installation too.
fn make_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        make_folder(above)?;
    }
    fs::create_dir(folder)?;
    Ok(fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?)
}

/// All files below a folder, in an order that does not depend on the file system.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let list = if entry.file_type()?.is_dir() { &mut folders } else { &mut found };
            list.push(entry.path());
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Debian's word for what the programs are compiled for.
fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => bail!("Sluice is not packaged for {other}"),
    }
}

/// The programs may use whatever the C library has that they were linked with: a package made on Debian 12 runs on 13, not
/// the other way round.
fn libc_version() -> Result<String> {
    let said = run::output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let version =
        said.split_whitespace().nth(1).context("getconf names no version of the C library")?;
    Ok(version.to_owned())
}

/// Without a repository around (a source archive), a time that is always the same.
fn commit_time() -> Result<String> {
    const WITHOUT_REPOSITORY: &str = "1767225600";
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let mut git = Command::new("git");
    git.args(["log", "-1", "--format=%ct"]).current_dir(paths::root());
    let time = run::output(&mut git).unwrap_or_else(|_| WITHOUT_REPOSITORY.to_owned());
    Ok(time.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::chroot::CAPABILITIES;
    use super::*;

    /// The score of systemd-networkd, times ten.
    const WORST_EXPOSURE: u32 = 28;

    fn unit() -> String {
        fs::read_to_string(sources().join("sluice.service")).unwrap()
    }

    fn value<'a>(unit: &'a str, key: &str) -> &'a str {
        unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap()
    }

    #[test]
    fn the_unit_exposes_no_more_than_systemd_networkd() {
        if run::find_program("systemd-analyze").is_none() {
            println!("skipped: no systemd-analyze here");
            return;
        }
        let mut analyze = Command::new("systemd-analyze");
        analyze.args(["security", "--offline=true", "--no-pager"]);
        analyze.arg(format!("--threshold={WORST_EXPOSURE}"));
        // Above the threshold it fails, with all that it found.
        let said = run::output(analyze.arg(sources().join("sluice.service"))).unwrap();
        assert!(said.contains("Overall exposure level for sluice.service"), "{said}");
    }

    #[test]
    fn the_unit_gives_the_daemon_what_the_test_of_the_package_proves_it_needs() {
        let unit = unit();
        let proven = CAPABILITIES.map(|name| format!("CAP_{}", name.to_uppercase())).join(" ");
        assert_eq!(value(&unit, "AmbientCapabilities"), proven);
        assert_eq!(value(&unit, "CapabilityBoundingSet"), proven);
        assert_eq!(value(&unit, "NoNewPrivileges"), "yes");
    }

    #[test]
    fn the_filter_of_system_calls_ends_with_what_the_daemon_needs() {
        let unit = unit();
        let filters: Vec<&str> =
            unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
        // Each line takes from or adds to the ones before it, and bpf is among the privileged calls that one takes away.
        let last = filters.last().copied().unwrap_or_default();
        assert!(last.split(' ').any(|call| call == "bpf"), "{filters:?}");
    }

    #[test]
    fn every_placeholder_of_the_description_is_filled() {
        let control = fs::read_to_string(sources().join("control")).unwrap();
        assert_eq!(control.matches('@').count(), 2 * 4 + 1, "four placeholders, one address");
        for (name, _) in FILES {
            assert!(sources().join(name).is_file(), "images/debian/{name}");
        }
        for script in SCRIPTS {
            let mut shell = Command::new("sh");
            run::output(shell.arg("-n").arg(sources().join("scripts").join(script))).unwrap();
        }
    }
}
