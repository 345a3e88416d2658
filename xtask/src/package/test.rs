//! What the package promises, from its installation to its purge.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::build::{build, pack};
use super::chroot::{BACKEND_ADDRESS, CAPABILITIES, End, Gateway, SERVICE, traffic};
use super::root::Release;
use crate::{run, setup};

const REQUESTS: &str = "1000";
/// What the daemon may take until it has programmed the configuration; the kernel checks its programs meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// Traffic before and after an upgrade.
const AROUND: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Options {
    /// Only this release
    #[arg(long, value_enum)]
    release: Option<Release>,
}

pub(super) fn test(options: &Options) -> Result<ExitCode> {
    if !setup::is_root() {
        bail!("the package is installed into chroots and namespaces: run it as root");
    }
    setup::ensure_for_roots()?;
    let package = build()?;
    ensure_reproducible(&package)?;
    let next = pack("2")?;
    let releases = match options.release {
        Some(release) => vec![release],
        None => vec![Release::Bookworm, Release::Trixie],
    };
    for release in releases {
        let started = Instant::now();
        println!("\n== {release}");
        installs_serves_upgrades_and_vanishes(release, &package, &next)
            .with_context(|| format!("in {release}"))?;
        println!("{release}: passed in {} s", started.elapsed().as_secs());
    }
    Ok(ExitCode::SUCCESS)
}

/// Made again out of the same programs, the package is the same.
fn ensure_reproducible(package: &Path) -> Result<()> {
    let before = std::fs::read(package)?;
    let after = std::fs::read(pack("1")?)?;
    ensure!(before == after, "{}: made again, it is another file", package.display());
    println!("ok   made again, the package is the same, {} KiB", before.len() / 1024);
    Ok(())
}

fn installs_serves_upgrades_and_vanishes(
    release: Release,
    package: &Path,
    next: &Path,
) -> Result<()> {
    let root = release.unpack()?;
    let mut gateway = Gateway::lay(&root)?;
    let before = root.files()?;

    let (package, next) = (gateway.bring(package)?, gateway.bring(next)?);
    gateway.run(&["dpkg", "--install", &package])?;
    let version = gateway.run(&["sluice", "--version"])?;
    println!("ok   installed: {}", version.trim());

    gateway.configure()?;
    let _server = Background::start(&mut traffic(End::Backend, &["serve", BACKEND_ADDRESS])?)?;
    needs_each_capability(&mut gateway)?;

    gateway.start(&CAPABILITIES)?;
    gateway.wait_until_ready(PATIENCE)?;
    let asked = run::output(&mut traffic(End::Client, &["ask", SERVICE, REQUESTS])?)?;
    println!("ok   serves: {}", asked.trim());

    let users = Background::start(&mut traffic(End::Client, &["hold", SERVICE])?)?;
    std::thread::sleep(AROUND);
    gateway.run(&["dpkg", "--install", &next])?;
    gateway.stop()?;
    gateway.start(&CAPABILITIES)?;
    gateway.wait_until_ready(PATIENCE)?;
    std::thread::sleep(AROUND);
    println!("ok   upgraded under traffic: {}", users.finish()?);

    gateway.stop()?;
    gateway.run(&["dpkg", "--remove", "sluice"])?;
    let left = gateway.links_with_programs()?;
    ensure!(left == 0, "after the removal {left} links still have a program");
    gateway.run(&["test", "!", "-e", "/sys/fs/bpf/sluice"]).context("pins are left")?;
    println!("ok   removed: no program, no pin");

    gateway.run(&["dpkg", "--purge", "sluice"])?;
    for file in [&package, &next] {
        gateway.run(&["rm", file])?;
    }
    let left: Vec<String> =
        root.files()?.into_iter().filter(|file| before.binary_search(file).is_err()).collect();
    ensure!(left.is_empty(), "the purge left {}", left.join(", "));
    ensure!(gateway.run(&["getent", "passwd", "sluice"]).is_err(), "the purge left the user");
    println!("ok   purged: no file, no user");
    Ok(())
}

/// Starts the daemon without each of the unit's capabilities.
fn needs_each_capability(gateway: &mut Gateway) -> Result<()> {
    for missing in CAPABILITIES {
        let others: Vec<&str> = CAPABILITIES.into_iter().filter(|name| *name != missing).collect();
        let missing = missing.to_uppercase();
        gateway.start(&others)?;
        gateway
            .wait_until_refused(PATIENCE)
            .with_context(|| format!("CAP_{missing} is not needed: take it out of the unit"))?;
        gateway.stop()?;
        println!("ok   without CAP_{missing} the daemon cannot work");
    }
    Ok(())
}

/// A part of the traffic that goes on until it is told to end.
struct Background {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<std::process::ChildStdout>,
}

impl Background {
    /// Starts it and waits until it says that it is ready.
    fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut background = Background { child, input, output };
        ensure!(background.line()? == "ready", "traffic does not begin: the reason is above");
        Ok(background)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    /// Tells it to end; its last line, or an error when something was lost.
    fn finish(mut self) -> Result<String> {
        drop(self.input.take());
        let line = self.line()?;
        ensure!(self.child.wait()?.success(), "{line}");
        Ok(line)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}
