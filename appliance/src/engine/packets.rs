//! Events of the datapath, with the names of what they concern.

use sluice_datapath::abi::{EventKind as PacketKind, Reason, ip_address};

use super::index::Index;
use crate::event::{Event, EventKind, Severity};

/// An event of the datapath as one of the log.
pub(super) fn event(
    packet: &sluice_datapath::abi::Event,
    index: &Index,
    link: Option<&str>,
) -> Event {
    let reason = Reason::from_number(packet.reason);
    let reason_name = reason.map_or("unknown", Reason::name);
    let known = matches!(packet.family, 4 | 6);
    let ends = known.then(|| {
        let ipv6 = packet.family == 6;
        let end = |address, port| std::net::SocketAddr::new(ip_address(address, ipv6), port);
        (end(packet.source, packet.source_port), end(packet.destination, packet.destination_port))
    });
    let way = ends.map_or("a packet".to_owned(), |(from, to)| {
        format!("{} {from} > {to}", protocol(packet.protocol))
    });
    let is_drop = packet.kind == PacketKind::Drop as u32;
    let backend = index.backend_key(packet.backend);
    let (kind, severity, message) = if is_drop {
        let why = reason.map_or("for an unknown reason", Reason::explanation);
        (EventKind::Drop, Severity::Warning, format!("{way} dropped: {reason_name}. {why}"))
    } else {
        let to = backend.map(|key| format!(" to {key}")).unwrap_or_default();
        (EventKind::Flow, Severity::Info, format!("{way} begins{to}"))
    };
    let mut event = Event::new(kind, severity, message)
        .with("reason", reason_name)
        .with("protocol", protocol(packet.protocol))
        .with("bytes", packet.length)
        .with("link", link.map_or_else(|| format!("#{}", packet.ifindex), str::to_owned));
    if let Some((from, to)) = ends {
        event = event.with("source", from.to_string()).with("destination", to.to_string());
    }
    if let Some(name) = index.service_name(packet.service) {
        event = event.about(format_args!("Service/{name}")).with("service", name.as_str());
    }
    if let Some(key) = backend {
        event = event.with("backend", key.address.to_string());
    }
    event
}

/// The IANA name of the protocols that the datapath knows.
fn protocol(number: u8) -> String {
    match number {
        1 => "ICMP".to_owned(),
        6 => "TCP".to_owned(),
        17 => "UDP".to_owned(),
        58 => "ICMPv6".to_owned(),
        number => format!("protocol {number}"),
    }
}
