//! One probe: ask once, and say in words what was wrong with the answer.

mod http;
mod tcp;
#[cfg(test)]
mod tests;
mod tls;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sluice_model::{HealthType, TimeSpan};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Check;

/// Asks a backend once.
pub trait Prober: Send + Sync {
    /// Whether the answer was as expected; else what was wrong, in words.
    fn probe<'a>(&'a self, check: &'a Check) -> BoxFuture<'a, Result<(), String>>;
}

/// Asks over the network.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkProber;

impl Prober for NetworkProber {
    fn probe<'a>(&'a self, check: &'a Check) -> BoxFuture<'a, Result<(), String>> {
        Box::pin(probe(check))
    }
}

/// Probes once, within the check's timeout.
async fn probe(check: &Check) -> Result<(), String> {
    let limit = check.health.timeout.as_duration();
    let asked = async {
        match check.health.check {
            HealthType::None => Ok(()),
            HealthType::Tcp => tcp::probe(check.target).await,
            HealthType::Http => http::probe(check, connect(check.target).await?).await,
            HealthType::Https => {
                let stream = connect(check.target).await?;
                http::probe(check, tls::wrap(check, stream).await?).await
            }
            HealthType::Udp => udp::probe(check).await,
        }
    };
    timeout(limit, asked).await.unwrap_or_else(|_| Err(too_late(check.target, limit)))
}

async fn connect(target: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(target)
        .await
        .map_err(|error| format!("connect to {target}: {}", words(&error)))
}

fn too_late(target: SocketAddr, limit: Duration) -> String {
    format!("{target}: no answer within {}", TimeSpan::from_duration(limit))
}

/// The error without its number, in the words that the field uses.
fn words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::TimedOut => error.kind().to_string(),
        _ => error.to_string(),
    }
}

/// At most so many bytes of an answer are shown.
const SHOWN: usize = 40;

/// The beginning of an answer, for a message.
fn shown(bytes: &[u8]) -> String {
    let part = &bytes[..bytes.len().min(SHOWN)];
    let more = if bytes.len() > SHOWN { "..." } else { "" };
    format!("\"{}{more}\"", part.escape_ascii())
}
