//! `cargo xtask vm`: a virtual machine with a stock kernel and the driver netdevsim, which stands for a NIC that runs
//! programs and encrypts.

mod accelerator;
mod files;
mod guest;
mod initramfs;
mod kernel;
mod netdevsim;
mod root;
mod vmlinux;

pub(crate) use kernel::Kernel;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use self::accelerator::Accelerator;
use self::files::Files;
use self::guest::{Guest, Outcome};
use crate::{paths, run, setup, tiers};

/// What a guest gets at most, unless said otherwise. Emulated, the tests take a fraction of it.
const TIMEOUT_SECONDS: u64 = 900;
/// What a guest gets at whose terminal somebody sits.
pub(crate) const DAY_SECONDS: u64 = 86_400;

#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the tests of the tier `vm` in the guest
    Test {
        #[command(flatten)]
        guest: GuestOptions,
        /// The long forms
        #[arg(long)]
        long: bool,
        /// Only tests whose name contains this, or whose binary's name does
        filter: Option<String>,
    },
    /// A shell in the guest, at this terminal; it ends with the shell
    Shell {
        #[command(flatten)]
        guest: GuestOptions,
    },
    /// Run a command in the guest
    Run {
        #[command(flatten)]
        guest: GuestOptions,
        /// The command and its arguments, for bash
        #[arg(required = true, trailing_var_arg = true)]
        words: Vec<String>,
    },
}

#[derive(Args, Clone, Copy, Default)]
pub(crate) struct GuestOptions {
    /// The series of kernels
    #[arg(long, value_enum, default_value_t)]
    pub(crate) kernel: Kernel,
    /// End the guest after so many seconds: 900, or a day where somebody sits at it
    #[arg(long = "timeout", value_name = "SECONDS")]
    pub(crate) timeout_seconds: Option<u64>,
}

pub(crate) fn vm(options: Options) -> Result<ExitCode> {
    match options.command {
        Command::Test { guest, long, filter } => tiers::test_in_guest(guest, long, filter),
        Command::Shell { guest } => Machine::prepare(guest)?.run_at_terminal("exec bash -i"),
        Command::Run { guest, words } => Machine::prepare(guest)?.run_to_end(&words.join(" ")),
    }
}

/// Scripts begin in the repository.
fn job(script: &str) -> String {
    format!("cd '{}'\n{script}\n", paths::root().display())
}

fn status(status: i32) -> Result<ExitCode> {
    Ok(ExitCode::from(u8::try_from(status).unwrap_or(1)))
}

/// A machine that can be started.
pub(crate) struct Machine {
    files: Files,
    accelerator: Accelerator,
    options: GuestOptions,
}

impl Machine {
    /// Installs, downloads and compiles what is missing.
    pub(crate) fn prepare(options: GuestOptions) -> Result<Self> {
        if let Some(why) = obstacle() {
            bail!("no virtual machine here: {why}");
        }
        setup::ensure_for_vm()?;
        let files = Files::prepare(options.kernel)?;
        let accelerator = Accelerator::choose(&files)?;
        println!("guest: kernel {}, {accelerator}", files.release);
        Ok(Machine { files, accelerator, options })
    }

    fn guest(&self, timeout_seconds: u64) -> Guest<'_> {
        let seconds = self.options.timeout_seconds.unwrap_or(timeout_seconds);
        Guest::new(&self.files, self.accelerator.clone(), Duration::from_secs(seconds))
    }

    /// Runs a script and prints what it writes.
    pub(crate) fn run_to_end(&self, script: &str) -> Result<ExitCode> {
        let outcome = self.guest(TIMEOUT_SECONDS).run(&job(script), |line| println!("{line}"))?;
        status(Self::checked(outcome)?)
    }

    /// Runs a script that has this terminal.
    pub(crate) fn run_at_terminal(&self, script: &str) -> Result<ExitCode> {
        let outcome = self.guest(DAY_SECONDS).interactive().run(&job(script), |_| ())?;
        status(Self::checked(outcome)?)
    }

    /// Runs a script, hands over each line that it writes, and returns what it ended with.
    ///
    /// # Errors
    /// When the guest did not come to the end of the script, or its kernel complained about itself.
    pub(crate) fn run(&self, script: &str, line: impl FnMut(&str)) -> Result<i32> {
        let started = Instant::now();
        let outcome = self.guest(TIMEOUT_SECONDS).run(&job(script), line)?;
        println!("guest: down after {} s", started.elapsed().as_secs());
        Self::checked(outcome)
    }

    fn checked(outcome: Outcome) -> Result<i32> {
        match outcome {
            Outcome::Ended { status, complaints } if complaints.is_empty() => Ok(status),
            Outcome::Ended { complaints, .. } => {
                bail!("the guest's kernel found a mistake in itself:\n{}", complaints.join("\n"))
            }
            Outcome::TimedOut => bail!("the guest was not done in time (--timeout) and was ended"),
            Outcome::Died { why, .. } => {
                bail!("the guest ended before its job; the last it said: {why}")
            }
        }
    }
}

/// Why there can be no virtual machine on this one, however much is installed.
fn obstacle() -> Option<String> {
    let architecture = std::env::consts::ARCH;
    if architecture != "x86_64" {
        return Some(format!("its kernels are for x86_64, this is {architecture}"));
    }
    let lacks = |program: &str| run::find_program(program).is_none();
    ["apt-get", "dpkg-deb", "unshare", "timeout"].into_iter().find(|program| lacks(program)).map(
        |program| {
            format!("its kernel and root come from Debian packages, and there is no {program}")
        },
    )
}
