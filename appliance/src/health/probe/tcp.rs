//! A TCP connection is accepted.

use std::net::SocketAddr;

pub(super) async fn probe(target: SocketAddr) -> Result<(), String> {
    let stream = super::connect(target).await?;
    // Closing with RST leaves no TIME_WAIT behind; thousands of probes a second would pile them up.
    stream
        .set_zero_linger()
        .map_err(|error| format!("connect to {target}: {}", super::words(&error)))
}
