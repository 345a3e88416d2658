//! A gateway on a machine in memory: two links, with backends on the second.
#![allow(dead_code, unreachable_pub, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

pub mod disk;

use std::collections::HashSet;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sluice_appliance::access::{self, Access, Certificates, Secret, SessionLimits};
use sluice_appliance::api::{self, Listeners};
use sluice_appliance::engine::{CardSetup, ChangeError, Engine, Handle, Setup};
use sluice_appliance::event::{Cursor, Event, EventKind, EventLog, Next};
use sluice_appliance::health::{Check, Prober};
use sluice_appliance::store::{Change, Store};
use sluice_appliance::wire::Applied;
use sluice_datapath::abi::{Table, TableKind};
use sluice_kernel::fake::World;
use sluice_kernel::{
    Datapath, Link, Neighbour, NeighbourState, Network, Route, Routing, TableStore,
};
use sluice_model::parse;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

pub const ETH0: u32 = 2;
pub const ETH1: u32 = 3;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn link(ifindex: u32, name: &str) -> Link {
    let mac = Some([2, 0, 0, 0, 0, ifindex as u8]);
    Link { ifindex, name: name.into(), mac, mtu: 1500, up: true, carrier: true, ..Link::default() }
}

/// A machine with two links; 10.0.1.1 to 10.0.1.9 and fd00:1::1 to fd00:1::9 answer on the second.
pub fn world() -> World {
    let world = World::new();
    world.set_link(link(ETH0, "eth0"));
    world.set_link(link(ETH1, "eth1"));
    for last in 1..=9_u8 {
        for (address, source) in
            [(format!("10.0.1.{last}"), "10.0.1.254"), (format!("fd00:1::{last}"), "fd00:1::fe")]
        {
            add_host(&world, &address, source, last);
        }
    }
    world
}

pub fn add_host(world: &World, address: &str, source: &str, last: u8) {
    let route = Route { ifindex: ETH1, gateway: None, source: Some(ip(source)), mtu: None };
    world.set_route(ip(address), Routing::Via(route));
    world.set_neighbour(Neighbour {
        ifindex: ETH1,
        address: ip(address),
        mac: Some([6, 0, 0, 0, 0, last]),
        state: NeighbourState::Reachable,
    });
}

pub const GATEWAY: &str = "apiVersion: sluice.dev/v1
kind: Gateway
metadata: {name: gateway}
spec:
  links: [{name: eth0}]
  natPools: [{name: default, addresses: [10.0.1.250, \"fd00:1::250\"], ports: 1024-65535}]
---
";

/// A DSR service at an address, with these backends in YAML.
pub fn service(name: &str, address: &str, backends: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  address: {address}\n  \
         protocol: TCP\n  port: 80\n  mode: dsr\n  backends: {backends}\n---\n"
    )
}

/// Answers probes as a test says: refused, unless the address answers.
#[derive(Default)]
pub struct Answers(Mutex<HashSet<IpAddr>>);

impl Answers {
    pub fn set(&self, address: &str, answers: bool) {
        let mut known = self.0.lock().unwrap();
        if answers {
            known.insert(ip(address))
        } else {
            known.remove(&ip(address))
        };
    }
}

impl Prober for Answers {
    fn probe<'a>(&'a self, check: &'a Check) -> BoxFuture<'a, Result<(), String>> {
        let answers = self.0.lock().unwrap().contains(&check.target.ip());
        let refused = || format!("connect to {}: connection refused", check.target);
        Box::pin(std::future::ready(if answers { Ok(()) } else { Err(refused()) }))
    }
}

/// A daemon without its sockets.
pub struct Gateway {
    pub world: World,
    pub directory: Arc<TempDir>,
    pub handle: Handle,
    pub log: Arc<EventLog>,
    pub answers: Arc<Answers>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Gateway {
    /// Starts on a new machine.
    pub async fn start() -> Self {
        Self::start_on(world(), Arc::new(tempfile::tempdir().unwrap())).await
    }

    /// Starts on a machine, with the state and configuration of an earlier daemon.
    pub async fn start_on(world: World, directory: Arc<TempDir>) -> Self {
        let (datapath, _) = world.open(&sluice_appliance::engine::smallest_sizes()).unwrap();
        let network = world.network();
        Self::start_with(world, directory, Box::new(datapath), Box::new(network)).await
    }

    /// Starts with other backends of the kernel.
    pub async fn start_with(
        world: World,
        directory: Arc<TempDir>,
        datapath: Box<dyn Datapath>,
        network: Box<dyn Network>,
    ) -> Self {
        Self::start_with_cards(world, directory, datapath, network, None).await
    }

    /// Starts on a new machine whose state is kept somewhere else.
    pub async fn start_with_store(store: Store) -> Self {
        let (world, directory) = (world(), Arc::new(tempfile::tempdir().unwrap()));
        let (datapath, _) = world.open(&sluice_appliance::engine::smallest_sizes()).unwrap();
        let network = Box::new(world.network());
        Self::start_all(world, directory, Box::new(datapath), network, None, Some(store)).await
    }

    /// Starts on a machine whose state is in this directory.
    pub async fn start_with_state(world: World, state: &std::path::Path) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (datapath, _) = world.open(&sluice_appliance::engine::smallest_sizes()).unwrap();
        let network = Box::new(world.network());
        let store = Some(Store::open(state).unwrap());
        Self::start_all(world, directory, Box::new(datapath), network, None, store).await
    }

    /// Starts with cards.
    pub async fn start_with_cards(
        world: World,
        directory: Arc<TempDir>,
        datapath: Box<dyn Datapath>,
        network: Box<dyn Network>,
        cards: Option<CardSetup>,
    ) -> Self {
        Self::start_all(world, directory, datapath, network, cards, None).await
    }

    async fn start_all(
        world: World,
        directory: Arc<TempDir>,
        datapath: Box<dyn Datapath>,
        network: Box<dyn Network>,
        cards: Option<CardSetup>,
        store: Option<Store>,
    ) -> Self {
        let (log, answers) = (Arc::new(EventLog::default()), Arc::new(Answers::default()));
        let setup = Setup {
            datapath,
            network,
            config: directory.path().join("config"),
            state: directory.path().join("state"),
            prober: answers.clone(),
            cards,
            log: log.clone(),
        };
        let (stop, stopping) = watch::channel(false);
        let store = store.unwrap_or_else(|| Store::open(&setup.state).unwrap());
        let (mut handle, task) = Engine::start_with(store, setup, stopping).await.unwrap();
        timeout(Duration::from_secs(5), handle.ready()).await.expect("ready in time").unwrap();
        Self { world, directory, handle, log, answers, stop, task }
    }

    pub fn config(&self) -> PathBuf {
        let path = self.directory.path().join("config");
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub async fn apply(&self, yaml: &str) -> Result<Applied, ChangeError> {
        let parsed = parse("test.yaml", yaml).unwrap_or_else(|problems| panic!("{problems:#?}"));
        self.handle.change(Change::Apply(parsed), false).await
    }

    /// Stops as SIGTERM does; what runs stays on the machine.
    pub async fn stop(self) -> (World, Arc<TempDir>) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        (self.world, self.directory)
    }

    /// The tables as the programs see them.
    pub fn tables(&self) -> Arc<dyn TableStore> {
        let (datapath, _) = self.world.open(&sluice_appliance::engine::smallest_sizes()).unwrap();
        datapath.tables()
    }

    /// All words of all tables that the daemon fills.
    pub fn contents(&self) -> Vec<(Table, Vec<u64>)> {
        let tables = self.tables();
        let shared = Table::ALL.iter().filter(|table| table.kind() == TableKind::Shared);
        shared
            .map(|table| (*table, tables.words(*table).iter().map(|word| word.get()).collect()))
            .collect()
    }

    pub async fn status_of(&self, name: &str) -> sluice_model::status::ServiceStatus {
        let name = sluice_model::Name::new(name).unwrap();
        let found = self
            .handle
            .read(move |engine| engine.service_views(Some(&name)))
            .await
            .unwrap()
            .unwrap();
        found.into_iter().next().unwrap().status.unwrap().status
    }

    /// Waits until something is as it should be.
    pub async fn until(&self, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
        let waiting = async {
            while !is_so().await {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(10), waiting)
            .await
            .unwrap_or_else(|_| panic!("not in time: {what}"));
    }

    /// The events of these kinds so far.
    pub fn events(&self, kinds: &[EventKind]) -> Vec<Arc<Event>> {
        let mut follower = self.log.follow(Cursor::default());
        let all = std::iter::from_fn(|| follower.try_next());
        all.filter_map(|next| match next {
            Next::Event(event) if kinds.contains(&event.kind) => Some(event),
            _ => None,
        })
        .collect()
    }
}

/// The API of a gateway, on a Unix socket and on TCP.
pub struct Server {
    pub gateway: Gateway,
    pub access: Arc<Access>,
    pub certificates: Arc<Certificates>,
    pub socket: PathBuf,
    pub tcp: std::net::SocketAddr,
    pub token_file: PathBuf,
    pub stop: watch::Sender<bool>,
    pub task: JoinHandle<()>,
}

/// The token of [`Server`].
pub const TOKEN: &str = "0123456789abcdef0123456789abcdef";

impl Server {
    pub async fn start() -> Self {
        Self::of(Gateway::start().await).await
    }

    pub async fn of(gateway: Gateway) -> Self {
        Self::with_limits(gateway, SessionLimits::default()).await
    }

    pub async fn with_limits(gateway: Gateway, limits: SessionLimits) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let socket = gateway.directory.path().join("api.sock");
        let token_file = gateway.directory.path().join("token");
        fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        fs::set_permissions(&token_file, fs::Permissions::from_mode(0o600)).unwrap();
        let token = Secret::read(&token_file).unwrap();
        let listeners =
            Listeners::open(&socket, Some("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let state = gateway.directory.path().join("state");
        let options = access::Options { state: &state, token: Some(token), limits };
        let access = Arc::new(Access::open(options).unwrap());
        let tcp = listeners.tcp_address().unwrap();
        let (stop, stopping) = watch::channel(false);
        let certificates = Certificates::open(&state, None, Some(tcp)).unwrap();
        let client_ca = gateway.directory.path().join("client-ca.pem");
        let client_ca = client_ca.exists().then_some(client_ca.as_path());
        let tls = certificates.server(client_ca).unwrap();
        let (handle, log) = (gateway.handle.clone(), gateway.log.clone());
        let router = api::router(handle, log, access.clone(), certificates.clone());
        let task = tokio::spawn(api::serve(listeners, tls, router, stopping));
        Self { gateway, access, certificates, socket, tcp, token_file, stop, task }
    }

    /// A request over the Unix socket.
    pub async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let stream = UnixStream::connect(&self.socket).await.unwrap();
        ask(stream, method, path, "", body).await
    }

    /// A GET request over TLS.
    pub async fn ask_tcp(&self, path: &str, headers: &str) -> Answer {
        self.ask_tls("GET", path, headers, "").await
    }

    /// A request over TLS.
    pub async fn ask_tls(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        ask(self.connect().await, method, path, headers, body).await
    }

    /// A connection over TLS, to the certificate that the gateway keeps.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let kept = self.gateway.directory.path().join("state/certificate.pem");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(kept).unwrap()).unwrap();
        let config = builder().with_root_certificates(roots).with_no_client_auth();
        self.connect_with(config).await.unwrap()
    }

    pub async fn connect_with(
        &self,
        config: ClientConfig,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.tcp).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    /// Runs the command `sluice` against this server.
    pub async fn sluice(&self, arguments: &str) -> (i32, String, String) {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.arg("--socket").arg(&self.socket).args(arguments.split_whitespace());
        let output = command.kill_on_drop(true).output().await.unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }
}

/// How a client of tests speaks TLS.
pub fn builder() -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
}

/// An answer to an HTTP request.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// One request, and everything that comes back until the other side closes.
pub async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    method: &str,
    path: &str,
    headers: &str,
    body: &str,
) -> Answer {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes))
        .await
        .expect("an answer in time")
        .unwrap();
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunked(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunked(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((length, after)) = rest.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&after[..length]);
        rest = after[length..].trim_start_matches("\r\n");
    }
    body
}
