//! A gateway, its client and its backend in network namespaces; the gateway's files are a root of Debian.
//!
//! ```text
//! client c0 ==veth== in [gateway, chroot] out ==veth== b0 backend
//! ```
//! There is no systemd in it: the daemon is started as its unit says, as its user, with its capabilities and without a way to
//! get more. What the unit forbids beyond that (system calls, the file system) is not tested here.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::root::Root;
use crate::run;

const CLIENT: &str = "sluice-pkg-c";
const GATEWAY: &str = "sluice-pkg-g";
const BACKEND: &str = "sluice-pkg-b";

pub(super) const SERVICE: &str = "192.0.2.10:80";
pub(super) const BACKEND_ADDRESS: &str = "10.0.1.1:80";

/// What the unit gives the daemon, without `CAP_`.
pub(super) const CAPABILITIES: [&str; 2] = ["net_admin", "sys_admin"];

/// What the kernel says to who lacks a capability.
const REFUSED: &str = "Operation not permitted";

const CONFIGURATION: &str = "\
{apiVersion: sluice.dev/v1, kind: Gateway, metadata: {name: gateway},
 spec: {links: [{name: in}, {name: out}], natPools: [{name: default, addresses: [10.0.1.2]}]}}
---
{apiVersion: sluice.dev/v1, kind: Service, metadata: {name: web},
 spec: {address: 192.0.2.10, protocol: TCP, port: 80, mode: nat, backends: [{address: 10.0.1.1}],
        health: {type: tcp, interval: 500ms, timeout: 400ms, rise: 1}}}
";

/// Makes namespaces and links. `tx off`: a frame between namespaces has no checksum otherwise; `gro on`: a veth link takes redirected
/// frames only with it.
const LAY: &str = "
ip netns add sluice-pkg-c; ip netns add sluice-pkg-g; ip netns add sluice-pkg-b
ip -n sluice-pkg-g link set lo up
ip link add c0 netns sluice-pkg-c type veth peer name in netns sluice-pkg-g
ip link add b0 netns sluice-pkg-b type veth peer name out netns sluice-pkg-g
ip -n sluice-pkg-c address add 198.51.100.1/24 dev c0
ip -n sluice-pkg-g address add 198.51.100.2/24 dev in
ip -n sluice-pkg-g address add 10.0.1.2/24 dev out
ip -n sluice-pkg-b address add 10.0.1.1/24 dev b0
for end in c:c0 g:in g:out b:b0; do
    ip -n sluice-pkg-${end%:*} link set ${end#*:} up
    ip netns exec sluice-pkg-${end%:*} ethtool -K ${end#*:} tx off tso off gso off gro on >/dev/null
done
ip -n sluice-pkg-c route add 192.0.2.10/32 via 198.51.100.2
ip netns exec sluice-pkg-g sysctl -qw net.ipv4.ip_forward=1
";

/// The gateway's own mounts, for one process that does nothing; everything else joins it.
const HOLD: &str = "
mount --make-rprivate /
mount --bind \"$1\" \"$1\"
mount -t proc proc \"$1/proc\"
mount -t sysfs sysfs \"$1/sys\"
mount -t bpf -o mode=0700 bpf \"$1/sys/fs/bpf\"
mount --rbind /dev \"$1/dev\"
echo ready
exec sleep infinity
";

/// The namespaces, and the process that holds the gateway's mounts. All goes when it is dropped.
pub(super) struct Gateway {
    root: PathBuf,
    holder: Child,
    daemon: Option<Child>,
    log: PathBuf,
}

impl Gateway {
    pub(super) fn lay(root: &Root) -> Result<Self> {
        remove_namespaces();
        run::output(Command::new("sh").args(["-ec", LAY])).inspect_err(|_| remove_namespaces())?;
        let mut hold = Command::new("ip");
        hold.args(["netns", "exec", GATEWAY, "unshare", "--mount", "sh", "-ec", HOLD, "hold"]);
        let holder = hold.arg(root.path()).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let log = root.path().with_extension("log");
        let mut gateway = Gateway { root: root.path().to_owned(), holder, daemon: None, log };
        gateway.wait_for_mounts()?;
        // Nobody starts services here; without it some scripts of packages would try.
        gateway.write("usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", 0o755)?;
        Ok(gateway)
    }

    fn wait_for_mounts(&mut self) -> Result<()> {
        use std::io::{BufRead, BufReader};
        let mut line = String::new();
        if let Some(output) = self.holder.stdout.as_mut() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.trim() != "ready" {
            bail!("the gateway's mounts cannot be made");
        }
        Ok(())
    }

    /// A command in the root, in the gateway's namespaces.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--mount", "--target"]).arg(self.holder.id().to_string());
        command.args(["chroot"]).arg(&self.root);
        command.args(["/usr/bin/env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"]);
        command.args(["DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"]).args(words);
        command
    }

    pub(super) fn run(&self, words: &[&str]) -> Result<String> {
        run::output(&mut self.command(words))
    }

    /// Copies a file into the root's /tmp and returns its name there.
    pub(super) fn bring(&self, file: &Path) -> Result<String> {
        let name = file.file_name().context("a file has a name")?.to_string_lossy().into_owned();
        fs::copy(file, self.root.join("tmp").join(&name))?;
        Ok(format!("/tmp/{name}"))
    }

    pub(super) fn write(&self, file: &str, text: &str, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let file = self.root.join(file);
        fs::write(&file, text)?;
        Ok(fs::set_permissions(file, fs::Permissions::from_mode(mode))?)
    }

    /// Starts the daemon as the unit does, as far as it can be done by hand.
    pub(super) fn start(&mut self, capabilities: &[&str]) -> Result<()> {
        self.run(&[
            "sh",
            "-ec",
            "
            install -d -o sluice -g sluice -m 0700 /sys/fs/bpf/sluice /var/lib/sluice
            install -d -o sluice -g sluice -m 0750 /run/sluice
            # In place of the unit's bind mount.
            chmod 0711 /sys/fs/bpf",
        ])?;
        let set = |sign: &str| {
            let names: Vec<String> =
                capabilities.iter().map(|name| format!("{sign}{name}")).collect();
            if names.is_empty() { "-all".to_owned() } else { format!("-all,{}", names.join(",")) }
        };
        let wanted = set("+");
        let mut command = self.command(&["setpriv", "--reuid", "sluice", "--regid", "sluice"]);
        command.args(["--clear-groups", "--no-new-privs", "--inh-caps", &wanted]);
        command.args(["--bounding-set", &wanted, "--ambient-caps", &wanted]);
        command.args(["/usr/sbin/sluiced", "--log-format", "text"]);
        // What an earlier daemon was refused is not this one's.
        let log = File::create(&self.log)?;
        self.daemon = Some(command.stdin(Stdio::null()).stderr(log).spawn()?);
        Ok(())
    }

    /// Ends the daemon as systemd would, and waits for its end.
    pub(super) fn stop(&mut self) -> Result<()> {
        if let Some(mut daemon) = self.daemon.take() {
            run::output(Command::new("kill").arg(daemon.id().to_string()))?;
            daemon.wait()?;
        }
        Ok(())
    }

    pub(super) fn configure(&self) -> Result<()> {
        self.write("etc/sluice/web.yaml", CONFIGURATION, 0o640)?;
        self.run(&["chgrp", "sluice", "/etc/sluice/web.yaml"]).map(drop)
    }

    /// Waits until the daemon says that the configuration is programmed and the backend is up.
    pub(super) fn wait_until_ready(&self, patience: Duration) -> Result<()> {
        self.wait("ready", patience, |said| said.contains(", ready,") && said.contains("(1 up)"))
    }

    /// Waits until the kernel refused the daemon something for want of a capability.
    pub(super) fn wait_until_refused(&self, patience: Duration) -> Result<()> {
        self.wait("refused anything", patience, |said| said.contains(REFUSED))
    }

    fn wait(&self, what: &str, patience: Duration, is_so: impl Fn(&str) -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            let status = self.run(&["sluice", "status"]).unwrap_or_else(|error| error.to_string());
            let said = format!("{status}\n{}", self.log_end());
            if is_so(&said) {
                return Ok(());
            }
            if started.elapsed() > patience {
                bail!("not {what} after {} s:\n{said}", patience.as_secs());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn log_end(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines.get(lines.len().saturating_sub(10)..).unwrap_or_default().join("\n")
    }

    /// The gateway's links with a program on them.
    pub(super) fn links_with_programs(&self) -> Result<usize> {
        let links = run::output(Command::new("ip").args(["-n", GATEWAY, "link", "show"]))?;
        Ok(links.lines().filter(|line| line.contains("xdp")).count())
    }
}

/// This program again, in the namespace of the client or the backend.
pub(super) fn traffic(at: End, words: &[&str]) -> Result<Command> {
    let namespace = match at {
        End::Client => CLIENT,
        End::Backend => BACKEND,
    };
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(std::env::current_exe()?);
    command.arg("package").arg("traffic").args(words);
    Ok(command)
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Client,
    Backend,
}

fn remove_namespaces() {
    for name in [CLIENT, GATEWAY, BACKEND] {
        // There is none unless an earlier run was killed.
        let _ = run::output(Command::new("ip").args(["netns", "delete", name]));
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.stop();
        let _ = self.holder.kill();
        let _ = self.holder.wait();
        remove_namespaces();
        let _ = fs::remove_file(&self.log);
    }
}
