//! `cargo xtask lab`: builds what the laboratory needs and hands over to it.

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::vm::{DAY_SECONDS, GuestOptions, Kernel, Machine};
use crate::{ebpf, paths, run, setup};

/// As in `sluice-lab`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Nic {
    #[default]
    Veth,
    Netdevsim,
    Emulated,
}

#[derive(Args)]
pub(crate) struct Options {
    /// Run the acceptance list without a terminal; exit code 0 when everything passed
    #[arg(long)]
    check: bool,
    /// With --check: the whole list, every service on its own
    #[arg(long, requires = "check")]
    long: bool,
    /// What the gateway's link to the client is: with netdevsim the laboratory is in the virtual machine, with emulated
    /// a card comes and goes under the traffic
    #[arg(long, value_enum, default_value_t)]
    nic: Nic,
    /// The kernel of the virtual machine
    #[arg(long, value_enum, default_value_t)]
    kernel: Kernel,
    /// With --check: leave the laboratory up afterwards, until Ctrl-C
    #[arg(long, requires = "check")]
    keep: bool,
}

pub(crate) fn lab(options: &Options) -> Result<ExitCode> {
    setup::ensure()?;
    ebpf::build()?;
    build()?;
    let mut command = command(if options.check { "check" } else { "run" });
    for (wanted, flag) in [(options.long, "--long"), (options.keep, "--keep")] {
        if wanted {
            command.arg(flag);
        }
    }
    if options.nic == Nic::Netdevsim {
        return in_guest(command.args(["--nic", "netdevsim"]), options);
    }
    if options.nic == Nic::Emulated {
        command.args(["--nic", "emulated"]);
    }
    // In our place: it alone gets Ctrl-C, and takes everything away before it ends.
    Err(command.exec()).context("cannot start sluice-lab")
}

/// The laboratory with a simulated NIC, which only the virtual machine has.
fn in_guest(command: &Command, options: &Options) -> Result<ExitCode> {
    let guest = GuestOptions { kernel: options.kernel, timeout_seconds: Some(DAY_SECONDS) };
    let machine = Machine::prepare(guest)?;
    let script = format!("modprobe netdevsim\n{}", run::line(command));
    if options.check { machine.run_to_end(&script) } else { machine.run_at_terminal(&script) }
}

/// The daemon, the command and the laboratory, as users run them.
pub(crate) fn build() -> Result<()> {
    let mut cargo = run::cargo();
    cargo.args(["build", "--release", "--package", "sluice-appliance", "--package", "sluice-lab"]);
    run::run(&mut cargo)
}

/// `sluice-lab NAME`, with what it needs to find.
pub(crate) fn command(name: &str) -> Command {
    let programs = paths::target().join("release");
    let mut command = Command::new(programs.join("sluice-lab"));
    command.current_dir(paths::root()).arg(name);
    command.arg("--programs").arg(programs).arg("--ebpf").arg(paths::ebpf_objects().join("lab.o"));
    command
}
