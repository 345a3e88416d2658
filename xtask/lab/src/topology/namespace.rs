//! One network namespace: made, entered, filled and removed.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};

use crate::process;

/// A named network namespace, as `ip netns` knows it. Removed when dropped.
pub(crate) struct Namespace {
    name: String,
    file: File,
}

impl Namespace {
    pub(crate) fn create(name: &str) -> Result<Self> {
        process::run(Command::new("ip").args(["netns", "add", name]))?;
        let path = path_of(name);
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let namespace = Namespace { name: name.to_owned(), file };
        namespace.ip("link set dev lo up")?;
        Ok(namespace)
    }

    /// Calls `work` in a thread of its own inside the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.join()?;
                work()
            });
            inside.join().map_err(|_| anyhow!("a thread in namespace {} panicked", self.name))?
        })
    }

    /// Moves the calling thread into the namespace, for good.
    pub(crate) fn join(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter namespace {}", self.name))
    }

    /// A second handle, which does not remove the namespace.
    pub(crate) fn door(&self) -> Result<Door> {
        Ok(Door { name: self.name.clone(), file: self.file.try_clone()? })
    }

    /// The namespace itself, for who wants its descriptor.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Runs commands of `tc`, one a line.
    pub(crate) fn tc(&self, lines: &str) -> Result<()> {
        self.batch("tc", lines)
    }

    /// Runs commands of `ip`, one a line.
    pub(crate) fn ip(&self, lines: &str) -> Result<()> {
        self.batch("ip", lines)
    }

    /// Runs commands of `bridge`, one a line.
    pub(crate) fn bridge(&self, lines: &str) -> Result<()> {
        self.batch("bridge", lines)
    }

    fn batch(&self, program: &str, lines: &str) -> Result<()> {
        let mut command = Command::new(program);
        command.args(["-n", &self.name, "-batch", "-"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {program}: `cargo xtask setup`"))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(lines.as_bytes())?;
        }
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("{program} in {}: {}", self.name, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Makes a veth pair: `near_link` here, `far_link` in the other namespace.
    pub(crate) fn connect(
        &self,
        near_link: &str,
        far: &Self,
        far_link: &str,
        mtu_bytes: u32,
    ) -> Result<()> {
        let mtu = mtu_bytes.to_string();
        process::run(
            Command::new("ip")
                .args(["link", "add", "name", near_link, "mtu", &mtu, "netns", &self.name])
                .args(["type", "veth", "peer"])
                .args(["name", far_link, "mtu", &mtu, "netns", &far.name]),
        )
    }

    /// What a command of `ip` writes.
    pub(crate) fn ip_output(&self, arguments: &[&str]) -> Result<String> {
        process::output(Command::new("ip").args(["-n", &self.name]).args(arguments))
    }

    /// Switches offloads of a link, as in `["tx", "off", "gro", "on"]`.
    pub(crate) fn offloads(&self, link: &str, settings: &[&str]) -> Result<()> {
        self.enter(|| process::run(Command::new("ethtool").args(["-K", link]).args(settings)))
    }

    /// Writes kernel parameters of the namespace, as in `("net/ipv4/ip_forward", "1")`.
    pub(crate) fn parameters(&self, settings: &[(&str, &str)]) -> Result<()> {
        self.enter(|| {
            for (name, value) in settings {
                let file = Path::new("/proc/sys").join(name);
                fs::write(&file, value)
                    .with_context(|| format!("cannot write {value} to {}", file.display()))?;
            }
            Ok(())
        })
    }

    /// Starts a program inside, in a process group of its own: Ctrl-C is for the laboratory alone.
    pub(crate) fn spawn(&self, command: &mut Command) -> Result<Child> {
        command.process_group(0);
        self.enter(|| {
            command.spawn().with_context(|| format!("cannot start {}", process::name(command)))
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.name) {
            eprintln!("{error:#}");
        }
    }
}

/// A way into a namespace for a thread that outlives its maker.
pub(crate) struct Door {
    name: String,
    file: File,
}

impl Door {
    /// Moves the calling thread into the namespace, for good.
    pub(crate) fn pass(&self) -> Result<()> {
        setns(&self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter namespace {}", self.name))
    }
}

fn path_of(name: &str) -> PathBuf {
    Path::new("/run/netns").join(name)
}

fn remove(name: &str) -> Result<()> {
    process::run(Command::new("ip").args(["netns", "delete", name]))
}

/// Removes a namespace that an earlier laboratory left, and the laboratory's own processes inside it.
pub(crate) fn remove_stale(name: &str) -> Result<()> {
    if !path_of(name).exists() {
        return Ok(());
    }
    let inside =
        process::output(Command::new("ip").args(["netns", "pids", name])).unwrap_or_default();
    for id in inside.split_whitespace() {
        let program = fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        if matches!(program.trim(), "sluiced" | "sluice-lab") {
            process::kill_by_id(id)?;
        }
    }
    remove(name)
}
