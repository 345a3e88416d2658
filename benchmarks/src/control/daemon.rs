//! A daemon of its own for measurements: in a network namespace, with its own pins and folders.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(120);

/// The daemon. Everything is removed when it is dropped.
pub(super) struct Daemon {
    program: PathBuf,
    name: String,
    folder: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// Makes the namespace with one pair of links, and starts nothing yet.
    pub(super) fn prepare(programs: &Path) -> Result<Self> {
        let name = format!("sluice-bench-{}", std::process::id());
        let folder = std::env::temp_dir().join(&name);
        let program = programs.join("sluiced");
        ensure!(program.is_file(), "{} is not there: cargo build --release", program.display());
        for part in ["config", "state"] {
            fs::create_dir_all(folder.join(part))?;
        }
        fs::write(folder.join("config/gateway.yaml"), GATEWAY)?;
        let daemon = Self { program, name, folder, child: None };
        let name = &daemon.name;
        ip(&["netns", "add", name])?;
        let inside = ["-n", name];
        for arguments in [
            &["link", "add", "wan0", "type", "veth", "peer", "name", "far0"][..],
            &["link", "set", "wan0", "up"],
            &["link", "set", "far0", "up"],
            &["address", "add", "10.0.0.254/8", "dev", "wan0"],
        ] {
            ip(&[&inside, arguments].concat())?;
        }
        Ok(daemon)
    }

    /// Starts it; how long it took until it was ready.
    pub(super) fn start(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let log = fs::File::create(self.folder.join("log"))?;
        let mut command = self.command();
        command.args(["--log", "warn"]).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(command.spawn().context("cannot start sluiced")?);
        loop {
            if let Ok((200, _)) = self.request("GET", "/readyz", "") {
                return Ok(started.elapsed());
            }
            if let Some(status) = self.child.as_mut().map(Child::try_wait).transpose()?.flatten() {
                let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("sluiced ended with {status}: {log}");
            }
            ensure!(started.elapsed() < PATIENCE, "sluiced is not ready after {PATIENCE:?}");
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends it as a service manager would.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let id = nix::unistd::Pid::from_raw(child.id() as i32);
            nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM)?;
            child.wait()?;
        }
        Ok(())
    }

    /// One request over the Unix socket: status and body.
    pub(super) fn request(&self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let kind =
            if method == "PATCH" { "application/merge-patch+json" } else { "application/yaml" };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: sluiced\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP")?;
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Ok((code.context("no status code")?, body.to_owned()))
    }

    /// A change that must be accepted: how long it took from the request to the answer, which is given when the
    /// tables are written.
    pub(super) fn change(&self, method: &str, path: &str, body: &str) -> Result<Duration> {
        let started = Instant::now();
        let (code, answer) = self.request(method, path, body)?;
        let took = started.elapsed();
        ensure!(code == 200, "{method} {path} answered {code}: {:.600}", answer);
        Ok(took)
    }

    /// Resident memory now and at most so far, in bytes.
    pub(super) fn memory(&self) -> Result<(f64, f64)> {
        let id = self.child.as_ref().context("the daemon doesn't run")?.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib * 1024.0)
        };
        Ok((field("VmRSS:").context("no VmRSS")?, field("VmHWM:").context("no VmHWM")?))
    }

    /// Resident memory that no file stands behind: tables that are mapped from the kernel are not counted.
    pub(super) fn own_memory(&self) -> Result<f64> {
        let id = self.child.as_ref().context("the daemon doesn't run")?.id();
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let line =
            status.lines().find(|line| line.starts_with("RssAnon:")).context("no RssAnon")?;
        let kib: f64 = line.split_whitespace().nth(1).context("no number")?.parse()?;
        Ok(kib * 1024.0)
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("api.sock")
    }

    /// `ip netns exec` would mount another /sys, without the BPF file system.
    fn command(&self) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.name))
            .arg(&self.program)
            .arg("--config")
            .arg(self.folder.join("config"))
            .arg("--state")
            .arg(self.folder.join("state"))
            .arg("--socket")
            .arg(self.socket())
            .arg("--pins")
            .arg(Path::new("/sys/fs/bpf").join(&self.name));
        command
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let ended = self.stop().and_then(|()| {
            let status = self.command().arg("--detach-all").stdout(Stdio::null()).status()?;
            ensure!(status.success(), "`sluiced --detach-all` ended with {status}");
            ip(&["netns", "delete", &self.name])
        });
        if let Err(error) = ended {
            eprintln!("{error:#}");
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const GATEWAY: &str = "apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec:
  links: [{name: wan0}]
";

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot start ip")?;
    ensure!(
        output.status.success(),
        "`ip {}`: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
