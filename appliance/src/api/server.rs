//! Listening: a Unix socket for root, and TCP with a token where it is wanted.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::middleware;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::auth::{self, Access, Secret};
use crate::access::{Connection, Ends};

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
    tcp: Option<(TcpListener, Secret)>,
}

impl Listeners {
    /// Opens the Unix socket, for its owner only, and TCP if wanted.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn open(path: &Path, tcp: Option<(SocketAddr, Secret)>) -> Result<Self, ServeError> {
        let unix = open_unix(path).await?;
        let tcp = match tcp {
            None => None,
            Some((address, token)) => {
                let listener = TcpListener::bind(address)
                    .await
                    .map_err(|error| ServeError::Tcp { address, error })?;
                if !address.ip().is_loopback() {
                    warn!(%address, "the API listens beyond this machine, without TLS: put a proxy before it");
                }
                Some((listener, token))
            }
        };
        Ok(Self { unix, path: path.to_owned(), tcp })
    }

    /// The TCP address, as bound.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
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

/// Answers requests until `stop` becomes true.
pub async fn serve(listeners: Listeners, router: Router, stop: watch::Receiver<bool>) {
    info!(socket = %listeners.path.display(), tcp = ?listeners.tcp_address(), "API ready");
    let Listeners { unix, path, tcp } = listeners;
    let on_tcp = async {
        if let Some((listener, token)) = tcp {
            listen(Tcp { listener, token }, router.clone(), stop.clone()).await;
        }
    };
    tokio::join!(listen(unix, router.clone(), stop.clone()), on_tcp);
    let _ = fs::remove_file(&path);
}

/// Where connections come from, and what they may do.
trait Accept: Send + Sync {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn accept(&self)
    -> impl Future<Output = io::Result<(Self::Stream, Access, Connection)>> + Send;
}

impl Accept for UnixListener {
    type Stream = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Access, Connection)> {
        let (stream, _) = Self::accept(self).await?;
        Ok((stream, Access::Open, Connection::new(None)))
    }
}

struct Tcp {
    listener: TcpListener,
    token: Secret,
}

impl Accept for Tcp {
    type Stream = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Access, Connection)> {
        let (stream, peer) = self.listener.accept().await?;
        let connection = Connection::new(Some(Ends::new(peer, stream.local_addr()?)));
        Ok((stream, Access::Token(self.token.clone()), connection))
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
        let (permit, (stream, access, connection)) = tokio::select! {
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
        let door = middleware::from_fn_with_state((access, connection), auth::check);
        let checked = router.clone().layer(door);
        answer(stream, checked, permit, &graceful);
    }
    // Streams of events have no end: they are cut off after the grace.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

/// Returns when it is time to stop, or nobody is left to say so.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

fn answer<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    permit: OwnedSemaphorePermit,
    graceful: &GracefulShutdown,
) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            debug!(%error, "connection ended");
        }
        drop(permit);
    });
}
