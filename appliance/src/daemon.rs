//! The daemon: its command line, and how its parts are put together.

use std::io::IsTerminal;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use sluice_kernel::linux::{self, CardOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::api::{self, Listeners, Secret};
use crate::emulated_card::{Emulated, EmulatedCards, EmulatedProber};
use crate::engine::{CardSetup, Engine, Setup};
use crate::event::EventLog;
use crate::health::NetworkProber;
use crate::probe_card::MachineProber;
use crate::supervisor::Supervisor;

/// Runs the Sluice gateway: keeps the datapath as the configuration says.
#[derive(Debug, Parser)]
#[command(name = "sluiced", version, max_term_width = 100)]
pub struct Options {
    /// Directory with configuration files (*.yaml, *.yml, *.json); changes are noticed.
    #[arg(long, value_name = "DIRECTORY", default_value = "/etc/sluice")]
    config: PathBuf,
    /// Directory for what must survive a restart.
    #[arg(long, value_name = "DIRECTORY", default_value = "/var/lib/sluice")]
    state: PathBuf,
    /// Unix socket of the API, for root.
    #[arg(long, value_name = "PATH", default_value = "/run/sluice/api.sock")]
    socket: PathBuf,
    /// TCP address of the API, such as 127.0.0.1:8440; needs --token-file. Default: none.
    #[arg(long, value_name = "ADDRESS", requires = "token_file")]
    listen: Option<SocketAddr>,
    /// File with the token that clients of --listen must know.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Directory of the BPF file system in which tables and attachments are pinned.
    #[arg(long, value_name = "DIRECTORY", default_value = linux::PIN_DIRECTORY)]
    pins: PathBuf,
    /// Removes programs, tables and pins of an earlier run, and ends. The state directory stays.
    #[arg(long)]
    detach_all: bool,
    /// Runs the programs for the card of LINK in the kernel, on OUTER: the outer end of a pair of links through which all
    /// packets of LINK come. For the laboratory; a link with a real card needs nothing of it.
    #[arg(long, value_name = "LINK=OUTER", help_heading = "Laboratory")]
    emulate_card: Vec<Emulated>,
    /// While this file is there, emulated cards fail at the operation that it names: map_create, card_bind, card_verify,
    /// hook, read_back or entry_write.
    #[arg(long, value_name = "FILE", requires = "emulate_card", help_heading = "Laboratory")]
    emulated_card_refuses: Option<PathBuf>,
    /// What is logged: a level, or levels by module such as `info,sluice_appliance::health=debug`.
    #[arg(long, value_name = "FILTER", default_value = "info", env = "SLUICE_LOG")]
    log: String,
    /// How it is logged.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
enum DaemonError {
    #[error("--log {filter}: {error}")]
    Log { filter: String, error: tracing_subscriber::filter::ParseError },
    #[error(transparent)]
    Token(#[from] api::TokenError),
    #[error(transparent)]
    Serve(#[from] api::ServeError),
    #[error(transparent)]
    Kernel(#[from] sluice_kernel::Error),
    #[error(transparent)]
    Start(#[from] crate::engine::StartError),
    #[error("signals cannot be received: {0}")]
    Signal(std::io::Error),
    #[error(
        "the engine ended unexpectedly; programs and tables go on running: start sluiced again"
    )]
    Engine,
}

/// Runs the daemon until it is told to stop by SIGTERM or SIGINT.
pub async fn main(options: Options) -> ExitCode {
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluiced: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), DaemonError> {
    start_log(&options)?;
    if options.detach_all {
        let detached = linux::detach_all(&options.pins)?;
        println!(
            "removed programs from {} links and {} cards, and {} pins",
            detached.links, detached.cards, detached.pins
        );
        return Ok(());
    }
    // Sockets, state and pins are for root.
    umask(Mode::from_bits_truncate(0o077));
    raise_file_limit();
    let token = options.token_file.as_deref().map(Secret::read).transpose()?;
    let listeners = Listeners::open(&options.socket, options.listen.zip(token)).await?;

    let sizes = crate::engine::smallest_sizes();
    let opening = linux::Options::new(sizes).pinned_in(&options.pins);
    let (datapath, opened) = linux::Datapath::open(&opening)?;
    info!(pins = %options.pins.display(), tables = ?opened.takeover, attached = opened.attached.len(), "datapath opened");
    for note in &opened.notes {
        warn!("{note}");
    }
    let cards = open_cards(&options)?;
    let log = Arc::new(EventLog::default());
    let setup = Setup {
        datapath: Box::new(datapath),
        network: Box::new(linux::Network::open()?),
        config: options.config,
        state: options.state,
        prober: Arc::new(NetworkProber),
        cards: Some(cards),
        log: log.clone(),
    };
    let (stop, stopping) = watch::channel(false);
    let (handle, mut engine) = Engine::start(setup, stopping.clone()).await?;
    let supervisor = Supervisor::of_environment();
    let watched = handle.clone();
    let server = tokio::spawn(api::serve(listeners, api::router(handle, log), stopping));

    let (mut terminate, mut interrupt) = (
        signal(SignalKind::terminate()).map_err(DaemonError::Signal)?,
        signal(SignalKind::interrupt()).map_err(DaemonError::Signal)?,
    );
    let ended = tokio::select! {
        () = supervisor.accompany(watched) => Ok(()),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        _ = &mut engine => Err(DaemonError::Engine),
    };
    supervisor.stopping();
    info!("stopping; programs and tables go on running");
    stop.send_replace(true);
    // Requests that are being answered first; then the engine has nobody left to serve.
    let _ = server.await;
    if ended.is_ok() {
        let _ = engine.await;
    }
    ended
}

/// The machine's cards, or those that are emulated.
fn open_cards(options: &Options) -> Result<CardSetup, DaemonError> {
    let emulated = &options.emulate_card;
    let (setup, opened) = if emulated.is_empty() {
        let (cards, opened) = linux::Cards::open(&CardOptions::default().pinned_in(&options.pins))?;
        (CardSetup { cards: Box::new(cards), prober: Arc::new(MachineProber) }, opened)
    } else {
        warn!(?emulated, "cards are emulated in the kernel: for the laboratory");
        let refuses = options.emulated_card_refuses.clone();
        let (cards, opened) = EmulatedCards::open(&options.pins, emulated, refuses)?;
        let prober = Arc::new(EmulatedProber(emulated.clone()));
        (CardSetup { cards: Box::new(cards), prober }, opened)
    };
    for note in &opened.notes {
        warn!("{note}");
    }
    Ok(setup)
}

fn start_log(options: &Options) -> Result<(), DaemonError> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|error| DaemonError::Log { filter: options.log.clone(), error })?;
    // Colours are for terminals, not for files and journals.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    match options.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}

/// Thousands of probes need thousands of sockets.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most));
    if let Err(error) = raised {
        error!(%error, "the limit of open files cannot be raised");
    }
}
