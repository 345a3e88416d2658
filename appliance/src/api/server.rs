//! Listening: a Unix socket for root, and TLS on TCP where it is wanted.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{debug, info, warn};

use super::{Entrance, redirect};
use crate::access::{Connection, Ends, name_of};

/// Connections at one time, each listener.
const CONNECTIONS: usize = 512;
/// A client that takes longer for the head of a request is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// On stopping, requests that are being answered may take so long.
const GRACE: Duration = Duration::from_secs(3);
/// After a failed accept (no more file descriptors) it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A daemon that was killed holds its socket until the kernel has freed its tables and all else.
const DYING: Duration = Duration::from_secs(2);

/// Why a listener cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A Unix socket cannot be made.
    #[error("socket {}: cannot be opened: {error}; choose another with --socket", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Somebody answers at the Unix socket.
    #[error("socket {}: another sluiced answers there; stop it first or choose another with --socket", .0.display())]
    InUse(PathBuf),
    /// A TCP address cannot be used.
    #[error("{address}: cannot listen: {error}; choose another with --listen")]
    Tcp {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
}

/// Open listeners.
#[derive(Debug)]
pub struct Listeners {
    unix: UnixListener,
    path: PathBuf,
    tcp: Option<TcpListener>,
}

/// The first byte of a handshake (RFC 8446, section 5.1); no method of HTTP begins with it.
const HANDSHAKE: u8 = 22;

impl Listeners {
    /// Opens the Unix socket, for its owner only, and TCP if wanted.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn open(path: &Path, tcp: Option<SocketAddr>) -> Result<Self, ServeError> {
        let unix = open_unix(path).await?;
        let tcp = match tcp {
            None => None,
            Some(address) => {
                let listener = TcpListener::bind(address).await;
                Some(listener.map_err(|error| ServeError::Tcp { address, error })?)
            }
        };
        Ok(Self { unix, path: path.to_owned(), tcp })
    }

    /// The TCP address, as bound.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }
}

async fn open_unix(path: &Path) -> Result<UnixListener, ServeError> {
    let failed = |error| ServeError::Socket { path: path.to_owned(), error };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    let begin = Instant::now();
    while UnixStream::connect(path).await.is_ok() {
        if begin.elapsed() > DYING {
            return Err(ServeError::InUse(path.to_owned()));
        }
        sleep(ACCEPT_PAUSE).await;
    }
    // What a killed daemon left; anything but a socket is not ours to remove.
    if fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket()) {
        fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Answers requests until `stop` becomes true; on TCP only as `tls` says.
pub async fn serve(
    listeners: Listeners,
    tls: Arc<ServerConfig>,
    router: Router,
    stop: watch::Receiver<bool>,
) {
    info!(socket = %listeners.path.display(), tcp = ?listeners.tcp_address(), "API ready");
    let Listeners { unix, path, tcp } = listeners;
    let on_tcp = async {
        if let Some(listener) = tcp {
            let door = Tcp { listener, tls: TlsAcceptor::from(tls) };
            listen(door, router.clone(), stop.clone()).await;
        }
    };
    tokio::join!(listen(unix, router.clone(), stop.clone()), on_tcp);
    let _ = fs::remove_file(&path);
}

/// Where connections come from.
trait Accept: Send + Sync {
    type Raw: Send + 'static;
    type Opening: Opening<Raw = Self::Raw>;

    fn accept(&self) -> impl Future<Output = io::Result<(Self::Raw, Connection)>> + Send;
    /// What goes on before the first request: the next connection need not wait for it.
    fn opening(&self) -> Self::Opening;
}

trait Opening: Send + 'static {
    type Raw;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn open(self, raw: Self::Raw) -> impl Future<Output = io::Result<Opened<Self::Stream>>> + Send;
}

/// A connection that is ready for requests.
struct Opened<S> {
    stream: S,
    /// The name in the client's certificate.
    certificate: Option<Arc<str>>,
}

struct Plain;

impl Accept for UnixListener {
    type Raw = UnixStream;
    type Opening = Plain;

    async fn accept(&self) -> io::Result<(UnixStream, Connection)> {
        Ok((Self::accept(self).await?.0, Connection::new(None)))
    }

    fn opening(&self) -> Plain {
        Plain
    }
}

impl Opening for Plain {
    type Raw = UnixStream;
    type Stream = UnixStream;

    async fn open(self, stream: UnixStream) -> io::Result<Opened<UnixStream>> {
        Ok(Opened { stream, certificate: None })
    }
}

struct Tcp {
    listener: TcpListener,
    tls: TlsAcceptor,
}

impl Accept for Tcp {
    type Raw = TcpStream;
    type Opening = TlsAcceptor;

    async fn accept(&self) -> io::Result<(TcpStream, Connection)> {
        let (stream, peer) = self.listener.accept().await?;
        let ends = Ends::new(peer, stream.local_addr()?);
        Ok((stream, Connection::new(Some(ends))))
    }

    fn opening(&self) -> TlsAcceptor {
        self.tls.clone()
    }
}

impl Opening for TlsAcceptor {
    type Raw = TcpStream;
    type Stream = TlsStream<TcpStream>;

    async fn open(self, stream: TcpStream) -> io::Result<Opened<Self::Stream>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
            redirect::to_https(stream).await;
            return Err(io::Error::other("sent to https"));
        }
        let stream = self.accept(stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.and_then(|certificate| name_of(certificate)).map(Arc::from);
        Ok(Opened { stream, certificate })
    }
}

async fn listen<A: Accept>(listener: A, router: Router, mut stop: watch::Receiver<bool>) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let permit = permits.clone().acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((permit, listener.accept().await?))
        };
        let (permit, (raw, connection)) = tokio::select! {
            accepted = accepted => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "cannot accept a connection");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
            () = stopped(&mut stop) => break,
        };
        let (opening, router, watcher) = (listener.opening(), router.clone(), graceful.watcher());
        tokio::spawn(async move {
            match timeout(HEAD_TIMEOUT, opening.open(raw)).await {
                Ok(Ok(Opened { stream, certificate })) => {
                    answer(stream, Entrance { connection, certificate }, router, watcher).await;
                }
                Ok(Err(error)) => debug!(%error, from = %connection, "connection not opened"),
                Err(_) => debug!(from = %connection, "connection not opened in time"),
            }
            drop(permit);
        });
    }
    // Streams of events have no end: they are cut off after the grace.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

/// Returns when it is time to stop, or nobody is left to say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    entrance: Entrance,
    router: Router,
    watcher: Watcher,
) {
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(entrance.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%error, "connection ended");
    }
}
