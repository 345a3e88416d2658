//! The laboratory: a client, the gateway and real web servers in network namespaces of this machine.

mod check;
mod client;
mod gateway;
mod kernel_objects;
mod laboratory;
mod leaks;
mod live;
mod pattern;
mod plan;
mod process;
mod report;
mod server;
mod stop;
mod topology;
mod with;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::gateway::Programs;
use crate::plan::Nic;

/// A client, the gateway and real web servers in network namespaces of this machine.
#[derive(Parser)]
#[command(name = "sluice-lab", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Send traffic through the gateway and show a live table until Ctrl-C
    Run(Places),
    /// Run the acceptance list; exit code 0 when everything passed
    Check {
        #[command(flatten)]
        places: Places,
        /// Every service on its own, and longer
        #[arg(long)]
        long: bool,
        /// Leave the laboratory up afterwards, until Ctrl-C
        #[arg(long)]
        keep: bool,
    },
    /// Start, configure and stop the daemon many times and look for what it left in the kernel
    Leaks {
        #[command(flatten)]
        places: Places,
        /// How many times
        #[arg(long, default_value_t = 20)]
        cycles: usize,
        /// Ten times as many
        #[arg(long)]
        long: bool,
    },
    /// Run a command at the client while traffic goes through the laboratory; SLUICE_SOCKET and SLUICE_SERVER tell it
    /// where the daemon is, `SLUICE_DAEMON_LOG` what it says
    With {
        #[command(flatten)]
        places: Places,
        /// The command and its arguments
        #[arg(last = true, required = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Remove what a laboratory left that was killed
    Clean,
    /// A backend's web server
    #[command(hide = true)]
    Serve {
        #[arg(long)]
        name: String,
    },
}

/// Where the things under test are.
#[derive(Args)]
struct Places {
    /// The folder of the programs sluiced and sluice; this program's own folder when absent
    #[arg(long)]
    programs: Option<PathBuf>,
    /// The eBPF object with the backends' decapsulation
    #[arg(long, default_value = ".cache/ebpf/lab.o")]
    ebpf: PathBuf,
    /// What the gateway's link to the client is
    #[arg(long, value_enum, default_value_t)]
    nic: Nic,
}

impl Places {
    fn programs(&self) -> Result<Programs> {
        let folder = match &self.programs {
            Some(folder) => folder.clone(),
            None => {
                let own = std::env::current_exe()?;
                own.parent().context("this program is in no folder")?.to_owned()
            }
        };
        let folder = std::path::absolute(folder)?;
        Ok(Programs { sluiced: folder.join("sluiced"), sluice: folder.join("sluice") })
    }
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(places) => {
            places.programs().and_then(|programs| live::run(&programs, &places.ebpf, places.nic))
        }
        Command::Check { places, long, keep } => {
            let extent = if long { check::Extent::Long } else { check::Extent::Short };
            places.programs().and_then(|programs| {
                check::check(&programs, &places.ebpf, places.nic, extent, keep)
            })
        }
        Command::Leaks { places, cycles, long } => {
            let cycles = if long { cycles * 10 } else { cycles };
            places
                .programs()
                .and_then(|programs| leaks::leaks(&programs, &places.ebpf, places.nic, cycles))
        }
        Command::With { places, command } => places
            .programs()
            .and_then(|programs| with::with(&programs, &places.ebpf, places.nic, &command)),
        Command::Clean => topology::remove_stale().map(|()| ExitCode::SUCCESS),
        Command::Serve { name } => server::serve(&name).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
