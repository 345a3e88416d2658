//! The daemon in the gateway's namespace: started, asked, restarted, killed, and removed with every trace.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Sluice, configuration, http};
use crate::plan::{CARD_LINK, CLIENT_SUBNET, Nic};
use crate::process::Process;
use crate::topology::{Namespace, PrivateMounts};

const READY_PATIENCE: Duration = Duration::from_secs(30);
const STOP_PATIENCE: Duration = Duration::from_secs(15);

/// The programs under test.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) sluiced: PathBuf,
    pub(crate) sluice: PathBuf,
}

/// The daemon and its files. Everything is removed when it is dropped.
pub(crate) struct Daemon<'lab> {
    programs: &'lab Programs,
    network: &'lab Namespace,
    mounts: PrivateMounts,
    folder: PathBuf,
    nic: Nic,
    process: Option<Process>,
    sluice: Sluice,
}

impl<'lab> Daemon<'lab> {
    /// Writes the configuration below `folder`, and starts nothing yet.
    pub(crate) fn prepare(
        programs: &'lab Programs,
        network: &'lab Namespace,
        folder: &Path,
        nic: Nic,
    ) -> Result<Self> {
        for part in ["config", "state"] {
            fs::create_dir_all(folder.join(part))?;
        }
        write_gateway(folder, nic, true)?;
        Ok(Daemon {
            programs,
            network,
            mounts: PrivateMounts::create(network)?,
            folder: folder.to_owned(),
            nic,
            process: None,
            sluice: Sluice::new(&programs.sluice, folder),
        })
    }

    /// Starts the daemon and waits until it says that it is ready. Returns how long that took.
    pub(crate) fn start(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let log = File::options().create(true).append(true).open(self.log_file())?;
        let mut command = self.command();
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = self.mounts.spawn(self.network, &mut command)?;
        let mut process = Process::new("sluiced", child);
        loop {
            if let Some(status) = process.ended()? {
                bail!("sluiced ended with {status} before it was ready{}", self.log_end());
            }
            match http::get(&self.socket(), "/readyz") {
                Ok((200, _)) => break,
                answer if started.elapsed() > READY_PATIENCE => {
                    bail!(
                        "sluiced was not ready within {} s; last answer of /readyz: {answer:?}{}",
                        READY_PATIENCE.as_secs(),
                        self.log_end()
                    );
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        self.process = Some(process);
        Ok(started.elapsed())
    }

    /// Starts the daemon unless it runs.
    pub(crate) fn start_again(&mut self) -> Result<()> {
        if self.process.is_none() {
            self.start()?;
        }
        Ok(())
    }

    /// Ends the daemon as a service manager would; its programs stay in the kernel.
    pub(crate) fn stop(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            let status = process.terminate(STOP_PATIENCE)?;
            if !status.success() {
                bail!("sluiced ended with {status} after SIGTERM{}", self.log_end());
            }
        }
        Ok(())
    }

    /// Ends the daemon without a chance to tidy up.
    pub(crate) fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Removes everything that the daemon put into the kernel.
    pub(crate) fn detach_all(&self) -> Result<()> {
        let mut command = self.command();
        command
            .arg("--detach-all")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let output = self.mounts.spawn(self.network, &mut command)?.wait_with_output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("`sluiced --detach-all` ended with {}: {}", output.status, complaint.trim());
        }
        Ok(())
    }

    /// The daemon's process id, while it runs.
    pub(crate) fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// An error when the daemon ended by itself.
    pub(crate) fn assert_running(&mut self) -> Result<()> {
        if let Some(process) = &mut self.process
            && let Some(status) = process.ended()?
        {
            bail!("sluiced ended by itself with {status}{}", self.log_end());
        }
        Ok(())
    }

    /// The command `sluice`, talking to this daemon.
    pub(crate) fn sluice(&self) -> &Sluice {
        &self.sluice
    }

    /// What is pinned in the daemon's BPF file system.
    pub(crate) fn pins(&self) -> Result<Vec<PathBuf>> {
        self.mounts.pins(self.network)
    }

    /// Lets the gateway use its cards, or not.
    pub(crate) fn use_cards(&self, wanted: bool) -> Result<()> {
        write_gateway(&self.folder, self.nic, wanted)
    }

    /// Lets the emulated card fail at an operation of the kernel, until `None`.
    pub(crate) fn let_card_refuse(&self, operation: Option<&str>) -> Result<()> {
        let file = self.refusal_file();
        match operation {
            Some(operation) => fs::write(file, operation)?,
            None => fs::remove_file(file)?,
        }
        Ok(())
    }

    fn refusal_file(&self) -> PathBuf {
        self.folder.join("card-refuses")
    }

    pub(crate) fn log_file(&self) -> PathBuf {
        self.folder.join("sluiced.log")
    }

    fn socket(&self) -> PathBuf {
        super::command::socket(&self.folder)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.programs.sluiced);
        command
            .arg("--config")
            .arg(self.folder.join("config"))
            .arg("--state")
            .arg(self.folder.join("state"))
            .arg("--socket")
            .arg(self.socket());
        if self.nic == Nic::Emulated {
            let card = format!("{}={CARD_LINK}", CLIENT_SUBNET.gateway_link());
            command.args(["--emulate-card", &card]);
            command.arg("--emulated-card-refuses").arg(self.refusal_file());
        }
        command
    }

    /// The last lines of the log, for messages.
    fn log_end(&self) -> String {
        let text = fs::read_to_string(self.log_file()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines.get(lines.len().saturating_sub(15)..).unwrap_or_default();
        if last.is_empty() {
            String::new()
        } else {
            format!("; its log ends:\n  {}", last.join("\n  "))
        }
    }
}

/// A file that appears whole, as editors write it.
fn write_gateway(folder: &Path, nic: Nic, with_cards: bool) -> Result<()> {
    let new = folder.join("gateway.new");
    fs::write(&new, configuration::gateway(nic, with_cards))?;
    fs::rename(new, folder.join("config/gateway.yaml"))?;
    Ok(())
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let was_used = self.process.is_some() || self.log_file().exists();
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
        if was_used && let Err(error) = self.detach_all() {
            eprintln!("{error:#}");
        }
    }
}
