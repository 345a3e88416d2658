//! Running other programs: shown before they run, named when they fail.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::paths;

/// The cargo that runs this command, hence the toolchain that the user chose.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(paths::root());
    command.env("PATH", search_path());
    // Of this crate's own run; build scripts of others would read them as theirs.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_")
            || text.starts_with("CARGO_MANIFEST_")
            || text == "OUT_DIR"
        {
            command.env_remove(name);
        }
    }
    command
}

/// The compiler that cargo uses.
pub(crate) fn rustc() -> Command {
    let mut command = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    command.current_dir(paths::root()).env("PATH", search_path());
    command
}

/// `PATH`, with the repository's own tools first and cargo's last: cargo may have been called by its path.
fn search_path() -> std::ffi::OsString {
    let mut folders = vec![paths::tools_bin()];
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path));
    }
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    folders.extend(cargo_home.map(|folder| folder.join("bin")));
    // Administrators' programs (ip, ethtool) are not in every user's PATH.
    folders.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or_else(|_| "/usr/bin:/bin".into())
}

/// Where a program would be found.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&search_path())
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Runs a program with its output on ours; an error when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    eprintln!("$ {}", shown(command));
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", shown(command));
    }
    Ok(())
}

/// Runs a program quietly and returns what it wrote; its complaints go into the error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", name(command)))?;
    if !output.status.success() {
        bail!(
            "`{}` ended with {}: {}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn name(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

/// A command as one would type it, with the variables that were set for it.
pub(crate) fn shown(command: &Command) -> String {
    let mut line = String::new();
    for (key, value) in command.get_envs() {
        let Some(value) = value else { continue };
        if key != OsStr::new("PATH") {
            let _ = write!(line, "{}={} ", key.to_string_lossy(), quoted(&value.to_string_lossy()));
        }
    }
    let program = PathBuf::from(command.get_program());
    line += &program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
    line + &arguments(command)
}

/// A command as a shell wants it, without variables.
pub(crate) fn line(command: &Command) -> String {
    quoted(&command.get_program().to_string_lossy()) + &arguments(command)
}

fn arguments(command: &Command) -> String {
    command.get_args().fold(String::new(), |mut line, argument| {
        let _ = write!(line, " {}", quoted(&argument.to_string_lossy()));
        line
    })
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+.,:/@%~".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
