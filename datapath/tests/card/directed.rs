//! Packets around every edge of the tables that chance seldom finds: lengths about the longest that fits, ports and
//! addresses beside those of services, sources at the ends of prefixes.

use sluice_datapath::native::scenario::{PREFIXES, Prefix, rows};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The frames as the text of `tests/support/frame.rs`.
pub fn texts() -> Vec<String> {
    let mut texts = Vec::new();
    services(&mut texts);
    sources(&mut texts);
    texts
}

fn services(texts: &mut Vec<String>) {
    for row in rows() {
        let ipv6 = row.address.is_ipv6();
        let (ip, client) = if ipv6 { ("ip6", "2001:db8:1::7") } else { ("ip4", "198.51.100.7") };
        let (low, address) = (row.ports.0, row.address);
        for port in [low, low.wrapping_sub(1), low.wrapping_add(1), low.swap_bytes()] {
            for (l4, flags) in [("tcp", "ack"), ("udp", "")] {
                for (to, sport) in
                    [(address, 40_001), (beside(address), 40_002), (turned(address), 40_003)]
                {
                    texts.push(format!(
                        "{ip} src={client} dst={to} / {l4} sport={sport} dport={port} {flags} / data 9"
                    ));
                }
            }
        }
        let (l4, flags, header) =
            if row.protocol == 6 { ("tcp", "ack", 20) } else { ("udp", "", 8) };
        let header = header + if ipv6 { 40 } else { 20 };
        for longest in [576, 1280, 1460, 1480, 1500] {
            for length in longest - 1..=longest + 1 {
                texts.push(format!(
                    "{ip} src={client} dst={address} / {l4} sport=40000 dport={low} {flags} / data {}",
                    length - header
                ));
            }
        }
        for sport in 40_000..40_040 {
            texts.push(format!(
                "{ip} src={client} dst={address} / tcp sport={sport} dport={low} syn / data 0"
            ));
        }
        let whole = format!("src={client} dst={address}");
        let transport = format!("{l4} sport=40000 dport={low} {flags}");
        texts.push(format!("vlan id=5 / {ip} {whole} / {transport} / data 5"));
        texts.push(format!("{ip} {whole} / {transport} / data 5 / pad 7"));
        if ipv6 {
            texts.push(format!("ip6 {whole} class=0xb8 hop=1 / {transport} / data 5"));
        } else {
            for more in ["df", "mf id=1", "off=3", "tos=0xb8 id=77", "ttl=1"] {
                texts.push(format!("ip4 {whole} {more} / {transport} / data 64"));
            }
        }
    }
}

fn sources(texts: &mut Vec<String>) {
    for prefix in PREFIXES {
        let (ip, to) =
            if prefix.address.is_ipv6() { ("ip6", "2001:db8::1") } else { ("ip4", "192.0.2.1") };
        for source in edges(&prefix) {
            for port in [80, 81] {
                texts
                    .push(format!("{ip} src={source} dst={to} / tcp sport=40000 dport={port} ack"));
            }
        }
    }
}

/// Before, at and after both ends, in the middle, and with the bytes in the other order.
fn edges(prefix: &Prefix) -> Vec<IpAddr> {
    match prefix.address {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(prefix.bits).unwrap_or(0);
            let (low, high) = (address.to_bits() & !host, address.to_bits() | host);
            [low - 1, low, low + 1, low + host / 2, low + host / 2 + 1, high, high + 1]
                .into_iter()
                .flat_map(|bits| [bits, bits.swap_bytes()])
                .map(|bits| Ipv4Addr::from_bits(bits).into())
                .collect()
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(prefix.bits).unwrap_or(0);
            let (low, high) = (address.to_bits() & !host, address.to_bits() | host);
            [low - 1, low, low + 1, low + host / 2, low + host / 2 + 1, high, high + 1]
                .into_iter()
                .map(|bits| Ipv6Addr::from_bits(bits).into())
                .collect()
        }
    }
}

fn beside(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() + 1).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() + 1).into(),
    }
}

fn turned(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().swap_bytes()).into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().rotate_left(64)).into(),
    }
}
