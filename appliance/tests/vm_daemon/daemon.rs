//! A real `sluiced`, and what it answers.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use sluice_vm_tests::{Pins, Said, command};
use tempfile::TempDir;

/// Everything waits so long: a card that refused is asked again after a minute at most, and an emulated processor takes the
/// rest.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(50);

/// The files of a daemon; what it pinned goes with them.
pub(crate) struct Home {
    directory: TempDir,
    pins: Pins,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), pins: Pins::create() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn pins(&self) -> &Path {
        self.pins.folder()
    }

    /// The next daemon knows nothing of what was configured.
    pub(crate) fn forget_state(&self) {
        fs::remove_dir_all(self.path("state")).unwrap();
    }

    /// Everything that it wrote to its log.
    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluiced"));
        command.arg("--pins").arg(self.pins());
        command
    }

    /// Starts a daemon and waits until it is ready.
    pub(crate) fn start(&self) -> Daemon<'_> {
        let log = fs::File::options().create(true).append(true).open(self.path("log")).unwrap();
        let mut command = self.command();
        for option in ["config", "state", "socket"] {
            command.arg(format!("--{option}")).arg(self.path(option));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let daemon = Daemon { home: self, child: command.spawn().unwrap() };
        daemon.until("the daemon is ready", |daemon| {
            let stream = UnixStream::connect(self.path("socket")).ok()?;
            (daemon.ask_on(stream, "GET", "/readyz", "").0 == 200).then_some(())
        });
        daemon
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let detached = self.command().arg("--detach-all").output();
        if !detached.is_ok_and(|output| output.status.success()) {
            eprintln!("the daemon's programs cannot be detached");
        }
        // The folder of the pins is removed by its owner, who must find it.
        let _ = fs::create_dir_all(self.pins());
        if std::thread::panicking() {
            eprintln!("the daemon's log:\n{}", self.log());
        }
    }
}

/// A daemon that runs.
pub(crate) struct Daemon<'a> {
    home: &'a Home,
    child: Child,
}

impl Daemon<'_> {
    /// Ends it as a crash does: what it put on links and cards stays there.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn ask_on(
        &self,
        mut stream: UnixStream,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, String) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        (head.split(' ').nth(1).unwrap_or_default().parse().unwrap(), body.to_owned())
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let stream = UnixStream::connect(self.home.path("socket")).unwrap();
        self.ask_on(stream, method, path, body)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.ask("GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.ask("POST", path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Makes these objects the configuration.
    pub(crate) fn apply(&self, yaml: &str) {
        self.post("/v1/apply", yaml);
    }

    /// Where a stage is on the link `card0`, and why.
    pub(crate) fn stage(&self, stage: &str) -> Value {
        let status = self.get("/v1/status");
        let stages =
            status["gateway"]["links"][0]["stages"].as_array().cloned().unwrap_or_default();
        stages.into_iter().find(|status| status["stage"] == stage).unwrap_or_default()
    }

    /// The condition of the gateway that says whether cards do what is planned.
    pub(crate) fn offloaded(&self) -> Value {
        let status = self.get("/v1/status");
        let conditions = status["gateway"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions
            .into_iter()
            .find(|condition| condition["type"] == "Offloaded")
            .unwrap_or_default()
    }

    /// What the card shall run, as the plan says in words.
    pub(crate) fn planned(&self) -> Value {
        self.get("/v1/plan")["cards"][0].clone()
    }

    /// The messages of the events of a kind, oldest first.
    pub(crate) fn events(&self, kind: &str) -> Vec<String> {
        let path = format!("/v1/events?from=start&follow=false&kind={kind}");
        let (status, body) = self.ask("GET", &path, "");
        assert_eq!(status, 200, "{body}");
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(|data| serde_json::from_str::<Value>(data).unwrap()["message"].to_string())
            .collect()
    }

    /// What the command `sluice` says.
    pub(crate) fn sluice(&self, arguments: &str) -> Said {
        let socket = self.home.path("socket");
        command(&format!(
            "{} --socket {} {arguments}",
            env!("CARGO_BIN_EXE_sluice"),
            socket.display()
        ))
    }

    /// Waits until something is there, and returns it.
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until a stage is where it should be, and returns its status.
    pub(crate) fn until_placed(&self, stage: &str, placement: &str) -> Value {
        self.until(&format!("{stage} at {placement}"), |daemon| {
            let status = daemon.stage(stage);
            (status["placement"] == placement).then_some(status)
        })
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
