//! The whole laboratory: network, servers, gateway. Taken away in order when it is dropped.

use std::collections::BTreeMap;
use std::fs;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::gateway::{Daemon, Programs};
use crate::plan::{BACKENDS, Backend, CLIENT_NAMESPACE, Member, Nic, SERVICES};
use crate::process::Process;
use crate::server;
use crate::stop::Stop;
use crate::topology::{EmulatedCard, Topology};

/// The names of namespaces are the machine's, so there is one laboratory at a time. Who has this name of the abstract
/// socket space is it; the kernel frees the name with the process.
const LOCK_NAME: &str = "sluice-lab";
/// Configuration, state, log and socket of the daemon: a known place, for users who want to look around.
const FOLDER: &str = "/run/sluice-lab";
const UP_PATIENCE: Duration = Duration::from_secs(15);

/// Whether this user may build a laboratory; if not, why.
pub(crate) fn obstacle() -> Option<&'static str> {
    (!nix::unistd::geteuid().is_root()).then_some("network namespaces and XDP need root")
}

/// What lives as long as the laboratory and is borrowed by the daemon.
pub(crate) struct Site {
    servers: BTreeMap<Backend, Process>,
    // It goes before the namespaces that it is in.
    card: Option<EmulatedCard>,
    topology: Topology,
    nic: Nic,
    folder: Folder,
    programs: Programs,
    _lock: UnixListener,
}

impl Site {
    /// Builds the network and starts the servers.
    pub(crate) fn build(programs: &Programs, ebpf: &Path, nic: Nic) -> Result<Self> {
        for program in [&programs.sluiced, &programs.sluice] {
            if !program.is_file() {
                bail!("{} is not there: `cargo xtask lab` builds it", program.display());
            }
        }
        let lock = lock()?;
        raise_descriptor_limit()?;
        let mut topology = Topology::build(ebpf, nic)?;
        let card = topology.card.take();
        let folder = Folder::create()?;
        let mut servers = BTreeMap::new();
        for backend in BACKENDS {
            servers.insert(backend, server::start(backend, topology.backend(backend)?)?);
        }
        Ok(Site { servers, card, topology, nic, folder, programs: programs.clone(), _lock: lock })
    }
}

/// Servers are killed and started while a daemon borrows the site.
pub(crate) struct Laboratory<'site> {
    pub(crate) topology: &'site Topology,
    servers: &'site mut BTreeMap<Backend, Process>,
    pub(crate) card: &'site mut Option<EmulatedCard>,
    pub(crate) daemon: Daemon<'site>,
    pub(crate) stop: Stop,
}

impl Site {
    /// The laboratory with its daemon, which is not started yet.
    pub(crate) fn open(&mut self, stop: Stop) -> Result<Laboratory<'_>> {
        let daemon =
            Daemon::prepare(&self.programs, &self.topology.gateway, &self.folder.path, self.nic)?;
        Ok(Laboratory {
            topology: &self.topology,
            servers: &mut self.servers,
            card: &mut self.card,
            daemon,
            stop,
        })
    }
}

impl Laboratory<'_> {
    /// Kills a backend's server, as a crash would.
    pub(crate) fn kill_server(&mut self, backend: Backend) -> Result<Instant> {
        let mut process = self
            .servers
            .remove(&backend)
            .with_context(|| format!("{backend} has no server to kill"))?;
        // Connections break at the latest from here on, and none before.
        let killed = Instant::now();
        process.kill()?;
        Ok(killed)
    }

    pub(crate) fn start_server(&mut self, backend: Backend) -> Result<()> {
        let process = server::start(backend, self.topology.backend(backend)?)?;
        self.servers.insert(backend, process);
        Ok(())
    }

    /// Gives every service these members and waits until the gateway finds them up.
    pub(crate) fn apply_and_wait(&self, members: &[Member]) -> Result<()> {
        self.daemon.sluice().apply(members)?;
        self.stop.wait_for(UP_PATIENCE, "all backends up", || {
            let backends = self.daemon.sluice().backends()?;
            let served = !backends.is_empty();
            let waiting =
                backends.iter().any(|backend| matches!(backend.state.as_str(), "unknown" | "down"));
            Ok((served && !waiting).then_some(()))
        })
    }
}

impl Laboratory<'_> {
    /// How a user looks around.
    pub(crate) fn directions(&self) -> String {
        format!(
            "The laboratory is up until Ctrl-C. In another terminal, as root:\n  \
             ip netns exec {CLIENT_NAMESPACE} curl http://{}/\n  \
             {} --socket {FOLDER}/sluiced.sock status\n  \
             tail -f {}",
            SERVICES[0].address,
            self.daemon.sluice().program().display(),
            self.daemon.log_file().display(),
        )
    }
}

/// The laboratory's files, removed when dropped.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn create() -> Result<Self> {
        let path = PathBuf::from(FOLDER);
        if path.exists() {
            // Of a laboratory that was killed: we hold the lock.
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {FOLDER}"))?;
        }
        fs::create_dir(&path).with_context(|| format!("cannot make {FOLDER}"))?;
        Ok(Folder { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("cannot remove {}: {error}", self.path.display());
        }
    }
}

fn lock() -> Result<UnixListener> {
    let address = SocketAddr::from_abstract_name(LOCK_NAME)?;
    UnixListener::bind_addr(&address).context("another laboratory runs on this machine")
}

/// Each connection of the clients is a descriptor.
fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).context("cannot raise the limit of open files")
}

/// What of a laboratory is still on the machine.
pub(crate) fn leftovers() -> Result<Vec<String>> {
    let mut found = Vec::new();
    if let Ok(entries) = fs::read_dir("/run/netns") {
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.starts_with("sluice-lab-") {
                found.push(format!("namespace {name}"));
            }
        }
    }
    if Path::new(FOLDER).exists() {
        found.push(FOLDER.to_owned());
    }
    Ok(found)
}
