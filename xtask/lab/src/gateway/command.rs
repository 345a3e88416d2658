//! The command `sluice`, called as a user calls it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{BackendState, LinkState, StageState, answers, configuration, http};
use crate::plan::{Member, SERVICES};
use crate::process;

/// The socket of the daemon whose files are below `folder`.
pub(super) fn socket(folder: &Path) -> PathBuf {
    folder.join("sluiced.sock")
}

/// Calls the command for one daemon.
pub(crate) struct Sluice {
    program: PathBuf,
    folder: PathBuf,
}

impl Sluice {
    pub(super) fn new(program: &Path, folder: &Path) -> Self {
        Sluice { program: program.to_owned(), folder: folder.to_owned() }
    }

    /// The command itself.
    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Gives every service these members.
    pub(crate) fn apply(&self, members: &[Member]) -> Result<()> {
        let file = self.folder.join("services.yaml");
        fs::write(&file, configuration::services(members))?;
        process::run(self.command(&["apply", "-f"]).arg(file))
    }

    /// Deletes every service.
    pub(crate) fn delete_services(&self) -> Result<()> {
        for service in SERVICES {
            process::run(&mut self.command(&["delete", "service", service.name]))?;
        }
        Ok(())
    }

    /// The backends of every service.
    pub(crate) fn backends(&self) -> Result<Vec<BackendState>> {
        Ok(answers::backends(&self.json(&["get", "services"])?))
    }

    /// The gateway's links and where their stages run.
    pub(crate) fn links(&self) -> Result<Vec<LinkState>> {
        Ok(answers::links(&self.json(&["status"])?))
    }

    /// Dropped packets by reason, since the datapath began.
    pub(crate) fn drops(&self) -> Result<Vec<(String, u64)>> {
        Ok(answers::drops(&self.get("/v1/counters")?))
    }

    /// Packets that cards sent on, and that the host did, since the daemon began.
    pub(crate) fn sent(&self) -> Result<(u64, u64)> {
        Ok(answers::sent(&self.get("/v1/counters")?))
    }

    /// Where a stage of a link runs.
    pub(crate) fn stage(&self, link: &str, stage: &str) -> Result<StageState> {
        let status = self.json(&["status"])?;
        answers::stage(&status, link, stage)
            .with_context(|| format!("`sluice status` shows no stage {stage} of {link}"))
    }

    fn get(&self, path: &str) -> Result<Value> {
        let (code, body) = http::get(&socket(&self.folder), path)?;
        if code != 200 {
            bail!("GET {path} answered {code}: {body}");
        }
        serde_json::from_str(&body).with_context(|| format!("GET {path} answered no JSON"))
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        let text = process::output(self.command(arguments).args(["-o", "json"]))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`sluice {}` wrote no JSON", arguments.join(" ")))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--socket").arg(socket(&self.folder)).args(arguments);
        command
    }
}
