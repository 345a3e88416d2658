//! The daemon: its command line, and how its parts are put together.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::{Mode, umask};
use sluice_kernel::linux::{self, CardOptions};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::access::{self, Access, CertificateFiles, Certificates, Secret, SessionLimits};
use crate::api::{self, Listeners};
use crate::emulated_card::{Emulated, EmulatedCards, EmulatedProber};
use crate::engine::{CardSetup, Engine, Setup};
use crate::event::EventLog;
use crate::health::NetworkProber;
use crate::probe_card::MachineProber;
use crate::supervisor::Supervisor;

/// So often the files of --certificate are looked at.
const RENEWAL: Duration = Duration::from_secs(10);

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
    /// TCP address of the API and the web console, such as 192.0.2.1:8440, with HTTPS. Default: none.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// File with an administrator's token for machines that use --listen.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// File with the gateway's certificate chain in PEM, which somebody else renews: it is read again when it changes.
    /// Default: one of its own, which PUT /v1/certificate replaces.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// File with the private key of --certificate, in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    /// File with the authority in PEM whose certificates machines may sign in with. Default: none may.
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
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
    /// Prints the description of the API (OpenAPI 3.1), and ends.
    #[arg(long)]
    openapi: bool,
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
    Token(#[from] access::TokenError),
    #[error(transparent)]
    Access(#[from] access::AccessError),
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
    if options.openapi {
        println!("{:#}", api::openapi());
        return Ok(());
    }
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
    let listeners = Listeners::open(&options.socket, options.listen).await?;
    let limits = SessionLimits::default();
    let access = access::Options { state: &options.state, token, limits };
    let access = Arc::new(Access::open(access)?);
    let certificates = Certificates::open(
        &options.state,
        options
            .certificate
            .clone()
            .zip(options.certificate_key.clone())
            .map(|(certificate, key)| CertificateFiles { certificate, key }),
        listeners.tcp_address(),
    )?;
    let tls = certificates.server(options.client_ca.as_deref())?;
    if let Some(address) = listeners.tcp_address() {
        welcome(address, &certificates, &access);
    }

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
    let watched = handle.clone();
    let router = api::router(handle, log, access, certificates.clone());
    let server = tokio::spawn(api::serve(listeners, tls, router, stopping));
    let renewing = tokio::spawn(renew(certificates));
    let supervisor = Supervisor::of_environment();

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
    renewing.abort();
    stop.send_replace(true);
    // Requests that are being answered first; then the engine has nobody left to serve.
    let _ = server.await;
    if ended.is_ok() {
        let _ = engine.await;
    }
    ended
}

/// Says once where the console is, to whoever can see this machine's screen or log.
fn welcome(address: SocketAddr, certificates: &Certificates, access: &Access) {
    let mut lines = format!(
        "the console is at https://{address}/, SHA-256 of its certificate: {}\n",
        certificates.about().fingerprint
    );
    if let Some(token) = access.setup_token() {
        let link = format!("https://{address}/setup#{}", token.reveal());
        lines += &format!("make the first administrator at {link}\n");
    }
    print!("{lines}");
    // The screen of a gateway without a log in; a container or a test has none.
    if let Ok(mut screen) = std::fs::OpenOptions::new().write(true).open("/dev/console") {
        let _ = screen.write_all(format!("sluiced: {lines}").as_bytes());
    }
}

/// Looks whether somebody renewed the certificate.
async fn renew(certificates: Arc<Certificates>) {
    let mut ticks = tokio::time::interval(RENEWAL);
    loop {
        ticks.tick().await;
        let certificates = certificates.clone();
        // It reads files.
        let _ = tokio::task::spawn_blocking(move || certificates.refresh()).await;
    }
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
    // The audit log is told whatever is left out.
    let filter = EnvFilter::try_new(&options.log)
        .and_then(|filter| Ok(filter.add_directive("sluice_audit=info".parse()?)))
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
