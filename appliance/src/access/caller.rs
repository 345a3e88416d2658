//! Who asks: put into every request by the check at the API's door.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Role;

/// Numbers of connections begin with one and are never used again while the daemon runs.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Who asks, as far as the door found out. A request that reached its handler has one.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The user, or the name of the token or certificate. `root` on the Unix socket.
    pub name: Arc<str>,
    /// What the caller may do.
    pub role: Role,
    /// How the caller is known.
    pub kind: CallerKind,
    /// The connection on which the request came.
    pub connection: Connection,
}

/// How a caller is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// By opening the Unix socket.
    Socket,
    /// By a signed-in session: its public name, which is not what the cookie holds.
    Session(Arc<str>),
    /// By a token for machines: its public name.
    Token(Arc<str>),
    /// By a client certificate.
    Certificate,
}

impl CallerKind {
    /// A word for logs.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Session(_) => "session",
            Self::Token(_) => "token",
            Self::Certificate => "certificate",
        }
    }
}

/// A connection to the API. Two requests with equal numbers came over the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Different for each connection.
    pub number: u64,
    /// Both ends, unless it is the Unix socket.
    pub ends: Option<Ends>,
}

/// The ends of a TCP connection; IPv4 is never written as IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client's end.
    pub peer: SocketAddr,
    /// Ours.
    pub local: SocketAddr,
}

impl Connection {
    /// A new one.
    pub fn new(ends: Option<Ends>) -> Self {
        Self { number: CONNECTIONS.fetch_add(1, Ordering::Relaxed), ends }
    }

    /// The client's address; `None` on the Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        self.ends.map(|ends| ends.peer.ip())
    }

    /// Whether the client is on this machine.
    pub fn is_local(&self) -> bool {
        self.address().is_none_or(|address| address.is_loopback())
    }
}

impl Ends {
    /// Addresses as the socket tells them.
    pub fn new(peer: SocketAddr, local: SocketAddr) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        Self { peer: canonical(peer), local: canonical(local) }
    }
}

/// The client's address, or `local`.
impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address() {
            Some(address) => address.fmt(f),
            None => f.write_str("local"),
        }
    }
}
