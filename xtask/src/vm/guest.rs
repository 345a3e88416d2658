//! One run of the virtual machine: start, a job, the end.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::accelerator::Accelerator;
use super::files::Files;
use crate::{paths, run};

const START: &str = include_str!("guest/start.sh");
const QEMU: &str = "qemu-system-x86_64";
const MEMORY_MIB: u32 = 2048;
/// On a busy machine an emulated processor is so slow at times that the guest's kernel takes its clock for broken. Once it is
/// up that does no harm.
const STARTS: usize = 3;
/// What coreutils' `timeout` ends with when the time was up.
const TIMED_OUT: i32 = 124;

/// `clocksource` and `tsc`: an emulated processor's time stamp counter makes the clock jump. `panic=-1` with `-no-reboot`
/// ends a guest whose kernel has died at once.
const KERNEL_ARGUMENTS: &str = "console=ttyS0 quiet loglevel=4 panic=-1 tsc=unstable clocksource=hpet \
                                net.ifnames=0 mitigations=off";

pub(super) struct Guest<'a> {
    files: &'a Files,
    accelerator: Accelerator,
    timeout: Duration,
    interactive: bool,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The job came to its end.
    Ended {
        /// What the job ended with.
        status: i32,
        /// Lines of the kernel's log that tell of a mistake in the kernel.
        complaints: Vec<String>,
    },
    /// The guest was ended when its time was up.
    TimedOut,
    /// The guest ended before its job.
    Died {
        /// What the guest's kernel or QEMU said of it.
        why: String,
        /// Whether the job had begun.
        had_started: bool,
    },
}

impl<'a> Guest<'a> {
    pub(super) fn new(files: &'a Files, accelerator: Accelerator, timeout: Duration) -> Self {
        Guest { files, accelerator, timeout, interactive: false }
    }

    /// The job reads from this terminal and writes to it.
    pub(super) fn interactive(mut self) -> Self {
        self.interactive = true;
        self
    }

    /// Runs `job`, a script for bash; each line that it writes goes to `line`. The repository and cargo's target folder are
    /// where they are on the host, read-only.
    pub(super) fn run(&self, job: &str, mut line: impl FnMut(&str)) -> Result<Outcome> {
        for _ in 1..STARTS {
            match self.run_once(job, &mut line)? {
                Outcome::Died { why, had_started: false } => {
                    println!("the guest died while it started ({why}); once more");
                }
                outcome => return Ok(outcome),
            }
        }
        self.run_once(job, line)
    }

    /// As [`Guest::run`], without another attempt when the guest dies on its way up.
    pub(super) fn run_once(&self, job: &str, mut line: impl FnMut(&str)) -> Result<Outcome> {
        let exchange = Exchange::create(job, self.interactive)?;
        let mut command = self.command(&exchange);
        if self.interactive {
            let status = command.status().context("cannot start QEMU")?;
            return Ok(exchange.outcome(status.code()));
        }
        let mut child = command
            .stderr(File::create(exchange.complaints_of_qemu())?)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {QEMU}"))?;
        if let Some(output) = child.stdout.take() {
            for bytes in BufReader::new(output).split(b'\n') {
                line(String::from_utf8_lossy(&bytes?).trim_end_matches('\r'));
            }
        }
        Ok(exchange.outcome(child.wait()?.code()))
    }

    /// Under `timeout`, which ends the guest even when this process has gone.
    fn command(&self, exchange: &Exchange) -> Command {
        let mut command = Command::new("timeout");
        command.args(["--foreground", "--kill-after=5"]).arg(self.timeout.as_secs().to_string());
        command.arg(run::find_program(QEMU).unwrap_or_else(|| QEMU.into()));
        command.args(["-M", "q35,usb=off,vmport=off"]).args(self.accelerator.arguments());
        command.arg("-m").arg(MEMORY_MIB.to_string());
        command.args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(&self.files.vmlinux);
        command.arg("-initrd").arg(&self.files.initramfs);
        command.args(["-device", "virtio-serial-pci", "-device", "virtconsole,chardev=console"]);
        command.args(["-chardev", "stdio,id=console,signal=off", "-device", "virtio-rng-pci"]);
        // A link with the driver virtio, to nobody.
        command.args([
            "-netdev",
            "hubport,id=link,hubid=0",
            "-device",
            "virtio-net-pci,netdev=link",
        ]);
        command.arg("-serial").arg(format!("file:{}", exchange.serial().display()));
        let mut arguments = KERNEL_ARGUMENTS.to_owned();
        command.arg("-virtfs").arg(virtfs("ro-root", &self.files.root));
        for share in exchange.shares() {
            command.arg("-virtfs").arg(virtfs(&share.tag, &share.host));
            let _ = write!(arguments, " sluice.share={}:{}", share.tag, share.guest.display());
        }
        command.arg("-append").arg(arguments);
        command
    }
}

/// A folder of the host in the guest.
struct Share {
    /// Begins with `rw` or `ro`.
    tag: String,
    host: PathBuf,
    guest: PathBuf,
}

/// QEMU's option for a share; a comma in a path is doubled.
fn virtfs(tag: &str, host: &Path) -> String {
    let path = host.display().to_string().replace(',', ",,");
    let access = if tag.starts_with("ro") { ",readonly=on" } else { "" };
    format!("local,path={path},mount_tag={tag},security_model=none,multidevs=remap{access}")
}

/// The folder through which host and guest hand each other files; it goes when the run is over.
struct Exchange {
    folder: PathBuf,
}

impl Exchange {
    fn create(job: &str, interactive: bool) -> Result<Self> {
        let folder = paths::cache().join("vm").join(format!("exchange-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let exchange = Exchange { folder };
        let start = exchange.folder.join("start");
        fs::write(&start, START)?;
        fs::set_permissions(&start, fs::Permissions::from_mode(0o755))?;
        fs::write(exchange.folder.join("job"), job)?;
        if interactive {
            fs::write(exchange.folder.join("interactive"), "")?;
        }
        Ok(exchange)
    }

    fn serial(&self) -> PathBuf {
        self.folder.join("serial")
    }

    fn complaints_of_qemu(&self) -> PathBuf {
        self.folder.join("qemu")
    }

    fn shares(&self) -> Vec<Share> {
        let same = |tag: &str, folder: PathBuf| Share {
            tag: tag.to_owned(),
            host: folder.clone(),
            guest: folder,
        };
        let mut shares = vec![
            Share {
                tag: "rw-exchange".to_owned(),
                host: self.folder.clone(),
                guest: "/exchange".into(),
            },
            same("ro-repository", paths::root()),
        ];
        if !paths::target().starts_with(paths::root()) {
            shares.push(same("ro-target", paths::target()));
        }
        shares
    }

    fn outcome(&self, code: Option<i32>) -> Outcome {
        let text = |name: &str| fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        if let Ok(status) = text("status").trim().parse() {
            let complaints = text("complaints").lines().map(str::to_owned).collect();
            return Outcome::Ended { status, complaints };
        }
        if code == Some(TIMED_OUT) {
            return Outcome::TimedOut;
        }
        let last = [self.serial(), self.complaints_of_qemu()]
            .iter()
            .find_map(|file| telling_line(&fs::read(file).unwrap_or_default()));
        let why = last.unwrap_or_else(|| "it said nothing".to_owned());
        Outcome::Died { why, had_started: self.folder.join("started").exists() }
    }
}

/// The line that tells of a mistake, or else the last that says anything.
fn telling_line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let tells = |line: &&str| ["panic", "BUG:", "Oops:"].iter().any(|word| line.contains(word));
    lines().find(tells).or_else(|| lines().next_back()).map(str::to_owned)
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_guest_is_told_of_by_its_kernel() {
        let log = b"[0.1] hello\n[0.2] Kernel panic - not syncing: oh\n[0.3] </TASK>\n\n";
        let told = telling_line(log);
        assert_eq!(told.as_deref(), Some("[0.2] Kernel panic - not syncing: oh"));
        assert_eq!(telling_line(b"a\nb\n \n").as_deref(), Some("b"));
        assert_eq!(telling_line(b"\n"), None);
    }

    #[test]
    fn shares_are_read_only_unless_their_name_says_otherwise() {
        let option = virtfs("ro-repository", Path::new("/a,b"));
        assert!(option.starts_with("local,path=/a,,b,mount_tag=ro-repository,"), "{option}");
        assert!(option.ends_with(",readonly=on"), "{option}");
        assert!(!virtfs("rw-exchange", Path::new("/x")).contains("readonly"));
    }
}
