//! ICMP errors about balanced flows. They quote the packet that failed; its addresses, turned round, name the
//! flow, and the error goes where the flow's packets go (RFC 5508 for the translated ones).

use super::{
    Flow, Fragmented,
    encapsulate::encapsulate,
    ethernet::NextHop,
    flow::same,
    nat::{self, rewrite_ip},
    select::select,
    service::{find_service, find_vip, has_ports},
};
use crate::{
    Defer, Mode, Outcome, Packet, Tables,
    abi::{
        Address, BackendFlags, Features, NAT_INDICES_PER_ADDRESS, Reason, ServiceCounter,
        ServiceFlags, VipFlags, VipLine, nat_index_port, port_key,
    },
    packet::{
        Delta,
        wire::{
            IPV4_OFFSET, Icmp, Ipv4, Ipv6, Tcp, Udp, Word, destination_port, ports, protocol,
            source_port,
        },
    },
};

/// An ICMP packet of the right family.
#[inline(always)]
pub(crate) fn error<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    tables: &T,
) -> Outcome {
    if flow.fragmented != Fragmented::Whole {
        return Outcome::end(Reason::PassIcmp);
    }
    let room = flow.l3 + usize::from(flow.length) - flow.l4;
    let Some(header) = packet.at::<Icmp>(flow.l4).filter(|_| room >= size_of::<Icmp>()) else {
        return Outcome::end(Reason::DropIcmpTruncated);
    };
    if !is_error::<V6>(header.kind) {
        return Outcome::end(Reason::PassIcmp);
    }
    let Some(vip) = find_vip::<V6, T>(&flow.destination, tables) else {
        return Outcome::end(Reason::PassIcmp);
    };
    // The flow that the quoted packet was an answer of: an error about a packet that its receiver did not send
    // is a lie.
    let Some(quote) = quoted::<V6, P>(packet, flow) else {
        return Outcome::end(Reason::PassIcmp);
    };
    let client = &quote.client;
    let key = port_key(client.protocol, destination_port(client.ports));
    let way = match find_service(vip, key, tables) {
        Some(index) => to_backend::<V6, MODE, T>(client, index, tables),
        None => to_client::<V6, MODE, T>(flow, client, vip, tables),
    };
    match way {
        Some(Way::Tunnel(id)) => {
            encapsulate::<V6, P, T>(packet, flow, id, Reason::SentIcmp, tables)
        }
        Some(Way::Nat) => Outcome::defer(Defer::Nat),
        Some(Way::Translate(way)) => translate::<V6, P>(packet, flow, &quote, &way),
        Some(Way::Refuse(service, counter)) => Outcome::refuse(tables, service, counter),
        None => Outcome::end(Reason::PassIcmp),
    }
}

/// Destination unreachable, time exceeded, parameter problem; packet too big of ICMPv6.
#[inline(always)]
fn is_error<const V6: bool>(kind: u8) -> bool {
    if V6 { matches!(kind, 1..=4) } else { matches!(kind, 3 | 11 | 12) }
}

/// The packet that an error quotes.
struct Quote {
    /// Its flow, turned round: what the receiver of the error was sent, if the quote is true.
    client: Flow,
    /// Where the quoted IP header begins.
    l3: usize,
    /// Where the quoted transport header begins.
    l4: usize,
}

#[inline(always)]
fn quoted<const V6: bool, P: Packet>(packet: &P, flow: &Flow) -> Option<Quote> {
    let l3 = flow.l4 + size_of::<Icmp>();
    let mut quote = Quote { client: Flow::default(), l3, l4: 0 };
    let client = &mut quote.client;
    if V6 {
        let ip: &Ipv6 = packet.at(l3)?;
        if u16::from_be(ip.version_class) >> 12 != 6 {
            return None;
        }
        client.source = ip.destination.get();
        client.destination = ip.source.get();
        client.protocol = ip.next;
        quote.l4 = l3 + size_of::<Ipv6>();
    } else {
        let ip: &Ipv4 = packet.at(l3)?;
        let header = usize::from(ip.version_ihl & 15) * 4;
        let later = ip.fragment & IPV4_OFFSET != 0;
        if ip.version_ihl >> 4 != 4 || header < size_of::<Ipv4>() || later {
            return None;
        }
        client.source[0] = ip.destination.get();
        client.destination[0] = ip.source.get();
        client.protocol = ip.protocol;
        quote.l4 = l3 + header;
    }
    let end = flow.l3 + usize::from(flow.length);
    if !same::<V6>(&client.destination, &flow.destination)
        || !has_ports(client.protocol)
        || quote.l4 + size_of::<Word>() > end
    {
        return None;
    }
    client.ports = turn(packet.at::<Word>(quote.l4)?.get());
    Some(quote)
}

/// Source and destination port exchanged.
#[inline(always)]
fn turn(word: u32) -> u32 {
    word.rotate_left(16)
}

/// Where an error goes.
enum Way<'t> {
    /// In a tunnel to this backend.
    Tunnel(u32),
    /// With other addresses.
    Translate(Translate<'t>),
    /// The program for translation knows.
    Nat,
    /// Nowhere.
    Refuse(u32, ServiceCounter),
}

/// What a translated error becomes.
struct Translate<'t> {
    /// Source of the quoted packet.
    source: &'t Address,
    /// Destination of the quoted packet.
    destination: &'t Address,
    /// Ports of the quoted packet.
    ports: u32,
    /// Source of the error itself; its own if none.
    sender: Option<&'t Address>,
    next_hop: NextHop<'t>,
    sent: Outcome,
}

/// The error is about a packet of a virtual address: its backend must know.
#[inline(always)]
fn to_backend<'t, const V6: bool, const MODE: u8, T: Tables>(
    client: &Flow,
    index: u32,
    tables: &'t T,
) -> Option<Way<'t>> {
    let service = tables.service(index)?;
    let features = tables.settings().features;
    if !features.has(Features::NAT) || !service.flags.has(ServiceFlags::NAT) {
        if MODE == Mode::NAT || !features.has(Features::DSR) {
            return None;
        }
        return Some(match select::<V6, T>(client, index, service, tables) {
            Err(counter) => Way::Refuse(index, counter),
            Ok(id) => Way::Tunnel(id),
        });
    }
    if MODE == Mode::TUNNEL {
        return Some(Way::Nat);
    }
    let at = nat::find::<V6, T>(client, index, &service.pool, tables)?;
    let record = tables.nat_record(at)?;
    let backend = tables.backend(record.backend)?;
    if !backend.flags.has(BackendFlags::RESOLVED) {
        return Some(Way::Refuse(index, ServiceCounter::NoNextHop));
    }
    Some(Way::Translate(Translate {
        source: &backend.address,
        destination: tables.nat_pool(at / NAT_INDICES_PER_ADDRESS)?,
        ports: ports(nat::backend_port(backend, record), nat_index_port(at)),
        sender: None,
        next_hop: NextHop::of(backend),
        sent: Outcome::send(Reason::SentIcmp, backend.ifindex, index, record.backend),
    }))
}

/// The error is about a packet of a pool address: its client must know. `client` is then the backend.
#[inline(always)]
fn to_client<'t, const V6: bool, const MODE: u8, T: Tables>(
    flow: &Flow,
    client: &Flow,
    vip: &VipLine,
    tables: &'t T,
) -> Option<Way<'t>> {
    if !tables.settings().features.has(Features::NAT) || !vip.flags.has(VipFlags::POOL) {
        return None;
    }
    if MODE == Mode::TUNNEL {
        return Some(Way::Nat);
    }
    let port = destination_port(client.ports);
    let (_, record, backend) = nat::mapping::<V6, T>(vip, client.protocol, port, tables)?;
    if !same::<V6>(&client.source, &backend.address)
        || source_port(client.ports) != nat::backend_port(backend, record)
    {
        return None;
    }
    let service = tables.service(record.service)?;
    // An error from the backend itself comes from the virtual address for the client; one from a router on
    // the way keeps its sender.
    let own = same::<V6>(&flow.source, &backend.address);
    let ifindex = record.ifindex.get();
    Some(Way::Translate(Translate {
        source: &record.client,
        destination: &service.address,
        ports: ports(record.client_port, record.service_port),
        sender: own.then_some(&service.address),
        next_hop: NextHop::back(record),
        sent: Outcome::send(Reason::SentIcmp, ifindex, record.service, record.backend),
    }))
}

/// Rewrites error and quote, and sends it.
#[inline(always)]
fn translate<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    quote: &Quote,
    way: &Translate,
) -> Outcome {
    if nat::hop_limit::<V6, P>(packet, flow.l3).unwrap_or(0) <= 1 {
        return Outcome::end(Reason::PassHopLimit);
    }
    if rewrite::<V6, P>(packet, flow, quote, way).is_none() {
        return Outcome::end(Reason::DropInternal);
    }
    nat::send::<V6, P>(packet, flow, &way.next_hop, way.sent)
}

#[inline(always)]
fn rewrite<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    quote: &Quote,
    way: &Translate,
) -> Option<()> {
    // Every word that changes behind the ICMP header changes the ICMP checksum.
    let mut delta = quoted_header::<V6, P>(packet, quote.l3, way)?;
    delta = delta.and(quoted_ports::<V6, P>(packet, flow, quote, way)?);
    let sender = way.sender.unwrap_or(&flow.source);
    // The error goes to whoever sent the quoted packet.
    let outer = rewrite_ip::<V6, P>(packet, flow.l3, sender, way.source)?;
    // Only ICMPv6 has a pseudo header (RFC 4443).
    if V6 {
        delta = delta.and(outer);
    }
    let icmp: &mut Icmp = packet.at_mut(flow.l4)?;
    icmp.checksum = delta.apply(icmp.checksum);
    Some(())
}

#[inline(always)]
fn quoted_header<const V6: bool, P: Packet>(
    packet: &mut P,
    l3: usize,
    way: &Translate,
) -> Option<Delta> {
    if V6 {
        let ip: &mut Ipv6 = packet.at_mut(l3)?;
        let delta = Delta::new()
            .address(&ip.source.get(), way.source)
            .address(&ip.destination.get(), way.destination);
        ip.source.set(way.source);
        ip.destination.set(way.destination);
        return Some(delta);
    }
    let ip: &mut Ipv4 = packet.at_mut(l3)?;
    let delta = Delta::new()
        .word(ip.source.get(), way.source[0])
        .word(ip.destination.get(), way.destination[0]);
    let checksum = delta.apply(ip.checksum);
    let delta = delta.half(ip.checksum, checksum);
    ip.checksum = checksum;
    ip.source.set(way.source[0]);
    ip.destination.set(way.destination[0]);
    Some(delta)
}

/// The quoted ports, and the quoted transport checksum where the quote reaches so far.
#[inline(always)]
fn quoted_ports<const V6: bool, P: Packet>(
    packet: &mut P,
    flow: &Flow,
    quote: &Quote,
    way: &Translate,
) -> Option<Delta> {
    let client = &quote.client;
    let ports = Delta::new().word(turn(client.ports), way.ports);
    let pseudo = if V6 {
        ports.address(&client.destination, way.source).address(&client.source, way.destination)
    } else {
        ports.word(client.destination[0], way.source[0]).word(client.source[0], way.destination[0])
    };
    packet.at_mut::<Word>(quote.l4)?.set(way.ports);
    let end = flow.l3 + usize::from(flow.length);
    if client.protocol == protocol::TCP {
        if quote.l4 + size_of::<Tcp>() > end {
            return Some(ports);
        }
        let tcp: &mut Tcp = packet.at_mut(quote.l4)?;
        let checksum = pseudo.apply(tcp.checksum);
        let delta = ports.half(tcp.checksum, checksum);
        tcp.checksum = checksum;
        return Some(delta);
    }
    if quote.l4 + size_of::<Udp>() > end {
        return Some(ports);
    }
    let udp: &mut Udp = packet.at_mut(quote.l4)?;
    let checksum = pseudo.apply_udp(udp.checksum);
    let delta = ports.half(udp.checksum, checksum);
    udp.checksum = checksum;
    Some(delta)
}
