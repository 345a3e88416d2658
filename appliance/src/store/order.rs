//! A change together with who wants it, and how.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::access::{Caller, Connection, Ends, Role};

use super::Change;

/// Who wants a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// A user, the name of a token, `root` on the Unix socket, `directory`, `sluiced`.
    pub name: String,
    /// From where: an address, or `local`.
    pub source: String,
}

impl Author {
    /// Somebody on this machine.
    pub fn local(name: &str) -> Self {
        Self { name: name.to_owned(), source: "local".to_owned() }
    }
}

impl From<&Caller> for Author {
    fn from(caller: &Caller) -> Self {
        Self { name: caller.name.to_string(), source: caller.connection.to_string() }
    }
}

/// The session that asks for a change, which the change should not cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionEnds {
    /// The client's end.
    pub peer: SocketAddr,
    /// This machine's.
    pub local: SocketAddr,
}

/// Reads what secure shell writes into `SSH_CONNECTION`: address and port of the client, address and port of this machine.
impl FromStr for SessionEnds {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let words: Vec<_> = text.split_whitespace().collect();
        let [peer, peer_port, local, local_port] = words[..] else { return Err(()) };
        let end = |address: &str, port: &str| {
            let address: IpAddr = address.parse().map_err(|_| ())?;
            Ok(SocketAddr::new(address.to_canonical(), port.parse().map_err(|_| ())?))
        };
        Ok(Self { peer: end(peer, peer_port)?, local: end(local, local_port)? })
    }
}

impl From<Ends> for SessionEnds {
    fn from(ends: Ends) -> Self {
        Self { peer: ends.peer, local: ends.local }
    }
}

/// A change with who wants it, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// What is wanted.
    pub change: Change,
    /// Who wants it.
    pub author: Author,
    /// What they may change.
    pub role: Role,
    /// What for.
    pub message: Option<String>,
    /// Return unless it is confirmed within so many seconds.
    pub confirm_seconds: Option<u32>,
    /// Do it in spite of warnings.
    pub accept_warnings: bool,
    /// Check and plan, but change nothing.
    pub dry_run: bool,
    /// Put it into the author's candidate; nothing takes effect.
    pub to_candidate: bool,
    /// The connection on which it was asked for; a confirmation must come over another one.
    pub connection: Option<Connection>,
    /// The session that should not be cut off.
    pub session: Option<SessionEnds>,
    /// What the configuration directory says as a whole, if the change is what it says.
    pub directory: Option<String>,
}

impl Order {
    /// A change that somebody on this machine wants.
    pub fn local(change: Change) -> Self {
        Self {
            change,
            author: Author::local("root"),
            role: Role::Administrator,
            message: None,
            confirm_seconds: None,
            accept_warnings: false,
            dry_run: false,
            to_candidate: false,
            connection: None,
            session: None,
            directory: None,
        }
    }

    /// A change that somebody wants through the API.
    pub fn by(caller: &Caller, change: Change) -> Self {
        Self {
            author: caller.into(),
            role: caller.role,
            connection: Some(caller.connection),
            session: caller.connection.ends.map(Into::into),
            ..Self::local(change)
        }
    }
}
