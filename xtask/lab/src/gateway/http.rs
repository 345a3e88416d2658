//! The daemon's API where the command `sluice` does not show it: a GET on the Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

const PATIENCE: Duration = Duration::from_secs(2);

/// An answer's status code and body.
pub(super) fn get(socket: &Path, path: &str) -> Result<(u16, String)> {
    let mut stream = UnixStream::connect(socket)
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Version 1.0: the body comes in one piece and ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: sluiced\r\nAccept: application/json\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).with_context(|| format!("no answer to GET {path}"))?;
    parse(&String::from_utf8_lossy(&answer)).with_context(|| format!("the answer to GET {path}"))
}

fn parse(answer: &str) -> Result<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n").context("is no HTTP")?;
    let code = head.split(' ').nth(1).context("has no status code")?;
    let code = code.parse().with_context(|| format!("has status code {code:?}"))?;
    Ok((code, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_told_apart() {
        let (code, body) = parse("HTTP/1.0 503 Service Unavailable\r\nx: y\r\n\r\n{}").unwrap();
        assert_eq!((code, body.as_str()), (503, "{}"));
        assert!(parse("SSH-2.0\r\n").is_err());
    }
}
