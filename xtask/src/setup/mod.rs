//! `cargo xtask setup`: what the build and the laboratory miss, and how to get it.

mod node;
mod packages;
mod rust_src;
mod system;
mod toolchain;
mod tools;

pub(crate) use rust_src::{SourceRoot, source_root};
pub(crate) use toolchain::Toolchain;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;

use self::system::System;

#[derive(Args, Default)]
pub(crate) struct Options {
    /// Only say what is missing; exit code 1 when something is
    #[arg(long)]
    pub(crate) check: bool,
    /// Also what only continuous integration needs: rustfmt, clippy, cargo-deny
    #[arg(long)]
    pub(crate) ci: bool,
    /// Whether the virtual machine is wanted too: always by hand, else only by what starts it.
    #[arg(skip = true)]
    pub(crate) vm: bool,
    /// Whether the web console is to be built and tested: likewise.
    #[arg(skip = true)]
    pub(crate) console: bool,
    /// Whether roots of Debian are to be made.
    #[arg(skip)]
    pub(crate) roots: bool,
}

/// One thing that has to be there.
pub(crate) struct Need {
    /// What it is, as printed.
    name: String,
    /// What it is needed for.
    purpose: &'static str,
    state: State,
}

pub(crate) enum State {
    /// There, with the version or place found.
    Present(String),
    /// A package of the system: only root can install it.
    Package,
    /// Something that this user can install, the commands to type, and the way to do it.
    Missing { commands: Vec<String>, install: Box<dyn FnOnce() -> Result<()>> },
}

/// Checks, shows, and installs what is missing unless only asked to check.
pub(crate) fn setup(options: &Options) -> Result<ExitCode> {
    check_and_install(options, true)
}

/// The table of needs is shown `always`, or only when something is missing.
fn check_and_install(options: &Options, always: bool) -> Result<ExitCode> {
    let system = System::read();
    let toolchain = Toolchain::read()?;
    let mut needs = packages::needs(&system, &toolchain);
    if options.vm {
        needs.extend(packages::for_vm());
    }
    if options.console {
        needs.extend(packages::for_console());
        needs.push(node::need());
    }
    if options.roots {
        needs.extend(packages::for_roots());
    }
    needs.push(rust_src::need(&toolchain));
    needs.push(tools::bpf_linker(&toolchain));
    if options.ci {
        needs.extend(tools::for_ci());
    }
    let missing = needs.iter().filter(|need| !matches!(need.state, State::Present(_))).count();
    if always || missing > 0 {
        print_table(&needs);
    }
    if missing == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let packages = packages::missing(&system, &toolchain, &needs);
    let may_install = packages.is_empty() || (system.is_root && system.installs_itself());
    if options.check || !may_install {
        println!("\n{missing} missing. {}", system.who_installs());
        print_commands(&system, &packages, &needs);
        return Ok(ExitCode::FAILURE);
    }
    install(&packages, needs)?;
    Ok(ExitCode::SUCCESS)
}

/// Fails, with the commands, unless everything for build and laboratory is there or can be installed now.
pub(crate) fn ensure() -> Result<()> {
    ensure_with(&Options::default())
}

/// As `ensure`, with what only continuous integration needs.
pub(crate) fn ensure_for_ci() -> Result<()> {
    ensure_with(&Options { ci: true, vm: true, console: true, ..Options::default() })
}

/// As `ensure`, with what the virtual machine needs.
pub(crate) fn ensure_for_vm() -> Result<()> {
    ensure_with(&Options { vm: true, ..Options::default() })
}

/// As `ensure`, with what the web console needs.
pub(crate) fn ensure_for_console() -> Result<()> {
    ensure_with(&Options { console: true, ..Options::default() })
}

/// As `ensure`, with what makes roots of Debian.
pub(crate) fn ensure_for_roots() -> Result<()> {
    ensure_with(&Options { roots: true, ..Options::default() })
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> bool {
    System::read().is_root
}

fn ensure_with(options: &Options) -> Result<()> {
    if check_and_install(options, false)? != ExitCode::SUCCESS {
        bail!("the machine is not set up: type the commands above, then try again");
    }
    Ok(())
}

fn install(packages: &[String], needs: Vec<Need>) -> Result<()> {
    if !packages.is_empty() {
        packages::install(packages)?;
    }
    for need in needs {
        if let State::Missing { install, .. } = need.state {
            println!("installing {}", need.name);
            install()?;
        }
    }
    Ok(())
}

fn print_table(needs: &[Need]) {
    let width = needs.iter().map(|need| need.name.len()).max().unwrap_or(0);
    for need in needs {
        let (word, detail) = match &need.state {
            State::Present(found) => ("ok", found.as_str()),
            State::Package | State::Missing { .. } => ("missing", need.purpose),
        };
        println!("{word:<8} {:<width$}  {detail}", need.name);
    }
}

fn print_commands(system: &System, packages: &[String], needs: &[Need]) {
    if !packages.is_empty() {
        for command in system.package_commands(packages) {
            println!("  {command}");
        }
    }
    for need in needs {
        if let State::Missing { commands, .. } = &need.state {
            for command in commands {
                println!("  {command}");
            }
        }
    }
}
