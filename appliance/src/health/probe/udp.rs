//! A datagram is answered as expected.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use sluice_model::ProbeBytes;
use tokio::net::UdpSocket;

use super::{Check, shown, words};

/// Longer answers are cut: only their beginning is compared.
const ANSWER_BYTES: usize = 2048;

pub(super) async fn probe(check: &Check) -> Result<(), String> {
    let target = check.target;
    let local: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(local, 0))
        .await
        .map_err(|error| format!("open a UDP socket: {}", words(&error)))?;
    // Connected, so that only the target's datagrams and ICMP errors arrive.
    socket.connect(target).await.map_err(|error| format!("send to {target}: {}", words(&error)))?;
    let bytes = check.health.send.as_ref().map_or(&[][..], ProbeBytes::as_bytes);
    socket.send(bytes).await.map_err(|error| format!("send to {target}: {}", words(&error)))?;

    let mut answer = [0; ANSWER_BYTES];
    let length = socket
        .recv(&mut answer)
        .await
        .map_err(|error| format!("answer from {target}: {}", words(&error)))?;
    let answer = &answer[..length];
    match &check.health.expect {
        Some(expected) if !answer.starts_with(expected.as_bytes()) => Err(format!(
            "answer {} does not begin with {}",
            shown(answer),
            shown(expected.as_bytes())
        )),
        _ => Ok(()),
    }
}
