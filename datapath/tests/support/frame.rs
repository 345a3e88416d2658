//! A frame as a line of text, layer by layer, such as
//! `ip4 src=198.51.100.7 dst=192.0.2.1 / tcp sport=40000 dport=80 syn / data 100`.
//!
//! `datapath/tests/fixtures/README.md` lists the layers and their fields. Lengths, protocol numbers and checksums
//! follow from the layers unless a field says otherwise: a lie is written down where it is told.

use super::wire::{checksum, pseudo_header};
use sluice_datapath::native::scenario::{GATEWAY, OTHER_GATEWAY, ROUTER, backend_mac};
use std::{collections::BTreeMap, net::IpAddr, str::FromStr};

/// Values of names such as `$port` in the text.
pub type Variables = BTreeMap<String, u16>;

type Result<T> = std::result::Result<T, String>;

/// The bytes of a frame. Without an `eth` layer it goes from the router to the gateway.
pub fn build(text: &str, variables: &Variables) -> Result<Vec<u8>> {
    let mut layers = text
        .split(" / ")
        .map(|layer| Layer::parse(layer.trim(), variables))
        .collect::<Result<Vec<_>>>()?;
    // What happens to the finished frame.
    let mut tail = Vec::new();
    while layers.last().is_some_and(|layer| matches!(layer.kind, "cut" | "pad")) {
        tail.extend(layers.pop());
    }
    let mut bytes = Vec::new();
    if !matches!(layers.first().map(|layer| layer.kind), Some("eth" | "hex")) {
        bytes.extend(GATEWAY.iter().chain(&ROUTER));
        bytes.extend(ether_type(layers.first()).to_be_bytes());
    }
    bytes.extend(stack(&layers, None)?);
    for layer in tail.iter().rev() {
        let length = layer.length()?;
        bytes.resize(if layer.kind == "cut" { length } else { bytes.len() + length }, 0);
    }
    Ok(bytes)
}

/// The bytes that payload is made of.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|i| (i * 7 + i / 256 + 3) as u8).collect()
}

#[derive(Debug)]
struct Layer<'t> {
    kind: &'t str,
    fields: Vec<(&'t str, String)>,
}

impl<'t> Layer<'t> {
    fn parse(text: &'t str, variables: &Variables) -> Result<Self> {
        let mut words = text.split_whitespace();
        let kind = words.next().ok_or("a layer is empty")?;
        let fields = words.map(|word| {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let value = match value.strip_prefix('$') {
                None => value.to_owned(),
                Some(name) => match variables.get(name) {
                    Some(value) => value.to_string(),
                    None => return Err(format!("{word}: the variable has no value")),
                },
            };
            Ok((key, value))
        });
        Ok(Self { kind, fields: fields.collect::<Result<Vec<_>>>()? })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == key).map(|field| field.1.as_str())
    }

    fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    fn number(&self, key: &str, otherwise: u32) -> Result<u32> {
        let Some(text) = self.get(key) else { return Ok(otherwise) };
        let number = match text.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.map_err(|error| format!("{} {key}={text}: {error}", self.kind))
    }

    fn value<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Result<T> {
        let text = self.get(key).ok_or_else(|| format!("{} needs {key}=", self.kind))?;
        text.parse().map_err(|error| format!("{} {key}={text}: {error}", self.kind))
    }

    /// The number in layers such as `data 100`.
    fn length(&self) -> Result<usize> {
        let text = self.fields.first().map_or("", |field| field.0);
        text.parse().map_err(|_| format!("{} needs a number of bytes, not {text:?}", self.kind))
    }

    fn only(&self, known: &[&str]) -> Result<()> {
        match self.fields.iter().find(|field| !known.contains(&field.0)) {
            Some((key, _)) => Err(format!("{} has no field {key}; it has {known:?}", self.kind)),
            None => Ok(()),
        }
    }

    fn mac(&self, key: &str, otherwise: [u8; 6]) -> Result<[u8; 6]> {
        match self.get(key) {
            None => Ok(otherwise),
            Some("router") => Ok(ROUTER),
            Some("gateway") => Ok(GATEWAY),
            Some("gateway2") => Ok(OTHER_GATEWAY),
            Some(name) => match name.strip_prefix('b').and_then(|id| id.parse().ok()) {
                Some(id) => Ok(backend_mac(id)),
                None => Err(format!("{key}={name}: router, gateway, gateway2, or b and a number")),
            },
        }
    }
}

fn hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16))
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| format!("{text}: {error}"))
}

fn ether_type(next: Option<&Layer>) -> u16 {
    match next.map(|layer| layer.kind) {
        Some("ip4") => 0x0800,
        Some("ip6") => 0x86dd,
        Some("vlan") => {
            next.and_then(|layer| layer.number("tpid", 0x8100).ok()).unwrap_or(0) as u16
        }
        _ => 0x88b5,
    }
}

/// The protocol number of what follows; 253 is for experiments (RFC 3692).
fn protocol(next: Option<&Layer>) -> u32 {
    match next.map_or("", |layer| layer.kind) {
        "hop" => 0,
        "icmp" => 1,
        "ip4" => 4,
        "tcp" => 6,
        "udp" => 17,
        "ip6" => 41,
        "route" => 43,
        "frag" => 44,
        "auth" => 51,
        "icmp6" => 58,
        "options" => 60,
        "mobility" => 135,
        "hip" => 139,
        "shim" => 140,
        _ => 253,
    }
}

type Pseudo = Option<(IpAddr, IpAddr)>;

/// The bytes of these layers, the addresses around them being `ends`.
fn stack(layers: &[Layer], ends: Pseudo) -> Result<Vec<u8>> {
    let Some((layer, rest)) = layers.split_first() else { return Ok(Vec::new()) };
    match layer.kind {
        "eth" => {
            layer.only(&["src", "dst", "type"])?;
            let mut bytes = layer.mac("dst", GATEWAY)?.to_vec();
            bytes.extend(layer.mac("src", ROUTER)?);
            let kind = layer.number("type", ether_type(rest.first()).into())?;
            bytes.extend((kind as u16).to_be_bytes());
            bytes.extend(stack(rest, None)?);
            Ok(bytes)
        }
        "vlan" => {
            layer.only(&["id", "priority", "type", "tpid"])?;
            let tag = layer.number("id", 0)? | layer.number("priority", 0)? << 13;
            let kind = layer.number("type", ether_type(rest.first()).into())?;
            let mut bytes = (tag as u16).to_be_bytes().to_vec();
            bytes.extend((kind as u16).to_be_bytes());
            bytes.extend(stack(rest, None)?);
            Ok(bytes)
        }
        "hex" => {
            let text: String = layer.fields.iter().map(|field| field.0).collect();
            let mut bytes = hex(&text)?;
            bytes.extend(stack(rest, ends)?);
            Ok(bytes)
        }
        "data" => Ok(pattern(layer.length()?)),
        "quote" => {
            layer.only(&["cut"])?;
            let mut bytes = stack(rest, None)?;
            bytes.truncate(layer.number("cut", u32::MAX)? as usize);
            Ok(bytes)
        }
        "ip4" => ip4(layer, rest),
        "ip6" => ip6(layer, rest),
        "tcp" => tcp(layer, rest, ends),
        "udp" => udp(layer, rest, ends),
        "icmp" | "icmp6" => icmp(layer, rest, ends),
        "frag" => {
            layer.only(&["off", "mf", "id", "next"])?;
            let next = layer.number("next", protocol(rest.first()))?;
            let offset = layer.number("off", 0)? << 3 | u32::from(layer.has("mf"));
            let mut bytes = vec![next as u8, 0];
            bytes.extend((offset as u16).to_be_bytes());
            bytes.extend(layer.number("id", 1)?.to_be_bytes());
            bytes.extend(stack(rest, ends)?);
            Ok(bytes)
        }
        "hop" | "route" | "options" | "auth" | "mobility" | "hip" | "shim" => {
            extension(layer, rest, ends)
        }
        other => Err(format!("{other} is no layer")),
    }
}

fn ip4(layer: &Layer, rest: &[Layer]) -> Result<Vec<u8>> {
    layer.only(&[
        "src", "dst", "ttl", "tos", "id", "df", "mf", "off", "options", "len", "ihl", "ver", "sum",
        "proto",
    ])?;
    let (source, destination): (IpAddr, IpAddr) = (layer.value("src")?, layer.value("dst")?);
    let payload = stack(rest, Some((source, destination)))?;
    let options = hex(layer.get("options").unwrap_or(""))?;
    let words = layer.number("ihl", 5 + options.len() as u32 / 4)?;
    let length = layer.number("len", (20 + options.len() + payload.len()) as u32)?;
    let flags = u32::from(layer.has("df")) << 14 | u32::from(layer.has("mf")) << 13;
    let mut bytes =
        vec![(layer.number("ver", 4)? << 4 | words) as u8, layer.number("tos", 0)? as u8];
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend((layer.number("id", 0x1234)? as u16).to_be_bytes());
    bytes.extend(((flags | layer.number("off", 0)?) as u16).to_be_bytes());
    bytes.push(layer.number("ttl", 64)? as u8);
    bytes.push(layer.number("proto", protocol(rest.first()))? as u8);
    bytes.extend([0, 0]);
    for ip in [source, destination] {
        match ip {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(_) => return Err(format!("ip4 has no address {ip}")),
        }
    }
    bytes.extend(options);
    let sum = layer.number("sum", checksum(&[&bytes]).into())?;
    bytes[10..12].copy_from_slice(&(sum as u16).to_be_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

fn ip6(layer: &Layer, rest: &[Layer]) -> Result<Vec<u8>> {
    layer.only(&["src", "dst", "hop", "class", "label", "len", "next", "ver"])?;
    let (source, destination): (IpAddr, IpAddr) = (layer.value("src")?, layer.value("dst")?);
    let payload = stack(rest, Some((source, destination)))?;
    let first = layer.number("ver", 6)? << 28
        | layer.number("class", 0)? << 20
        | layer.number("label", 0)?;
    let mut bytes = first.to_be_bytes().to_vec();
    bytes.extend((layer.number("len", payload.len() as u32)? as u16).to_be_bytes());
    bytes.push(layer.number("next", protocol(rest.first()))? as u8);
    bytes.push(layer.number("hop", 64)? as u8);
    for ip in [source, destination] {
        match ip {
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
            IpAddr::V4(_) => return Err(format!("ip6 has no address {ip}")),
        }
    }
    bytes.extend(payload);
    Ok(bytes)
}

/// `units` is what the length field says; the header is as long as that unless `size` says otherwise.
fn extension(layer: &Layer, rest: &[Layer], ends: Pseudo) -> Result<Vec<u8>> {
    layer.only(&["units", "size", "next"])?;
    let (units, size) = match layer.kind {
        "auth" => (layer.number("units", 4)?, (layer.number("units", 4)? + 2) * 4),
        _ => (layer.number("units", 0)?, (layer.number("units", 0)? + 1) * 8),
    };
    let mut bytes = vec![layer.number("next", protocol(rest.first()))? as u8, units as u8];
    // PadN over the rest is a valid option of the two headers that have options.
    let size = layer.number("size", size)? as usize;
    bytes.extend([1, (size as u8).wrapping_sub(4)]);
    bytes.resize(size, 0);
    bytes.extend(stack(rest, ends)?);
    Ok(bytes)
}

/// The payload that the checksum is over: `whole=` bytes where the packet is but the first part of a datagram.
fn summed(layer: &Layer, payload: &[u8]) -> Result<Vec<u8>> {
    match layer.number("whole", 0)? {
        0 => Ok(payload.to_vec()),
        length => Ok(pattern(length as usize)),
    }
}

fn transport_sum(ends: Pseudo, number: u8, header: &[u8], payload: &[u8]) -> u16 {
    let Some((source, destination)) = ends else { return 0 };
    let length = header.len() + payload.len();
    checksum(&[&pseudo_header(source, destination, number, length), header, payload])
}

fn tcp(layer: &Layer, rest: &[Layer], ends: Pseudo) -> Result<Vec<u8>> {
    layer.only(&[
        "sport", "dport", "seq", "ack", "syn", "fin", "rst", "psh", "ackno", "window", "offset",
        "options", "sum", "whole",
    ])?;
    let options = hex(layer.get("options").unwrap_or(""))?;
    let flags = [("fin", 1), ("syn", 2), ("rst", 4), ("psh", 8), ("ack", 16)];
    let flags: u8 = flags.iter().filter(|flag| layer.has(flag.0)).map(|flag| flag.1).sum();
    let words = layer.number("offset", 5 + options.len() as u32 / 4)?;
    let mut bytes = Vec::new();
    bytes.extend(layer.value::<u16>("sport")?.to_be_bytes());
    bytes.extend(layer.value::<u16>("dport")?.to_be_bytes());
    bytes.extend(layer.number("seq", 0x0102_0304)?.to_be_bytes());
    bytes.extend(layer.number("ackno", 0)?.to_be_bytes());
    bytes.extend([(words << 4) as u8, flags]);
    bytes.extend((layer.number("window", 0xfaf0)? as u16).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    let payload = stack(rest, None)?;
    let sum = transport_sum(ends, 6, &bytes, &summed(layer, &payload)?);
    let sum = layer.number("sum", sum.into())?;
    bytes[16..18].copy_from_slice(&(sum as u16).to_be_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

fn udp(layer: &Layer, rest: &[Layer], ends: Pseudo) -> Result<Vec<u8>> {
    layer.only(&["sport", "dport", "len", "sum", "whole"])?;
    let payload = stack(rest, None)?;
    let whole = summed(layer, &payload)?;
    let length = layer.number("len", 8 + whole.len() as u32)?;
    let mut bytes = Vec::new();
    bytes.extend(layer.value::<u16>("sport")?.to_be_bytes());
    bytes.extend(layer.value::<u16>("dport")?.to_be_bytes());
    bytes.extend((length as u16).to_be_bytes());
    bytes.extend([0; 2]);
    // A sum of zero is sent as all ones (RFC 768).
    let sum = match transport_sum(ends, 17, &bytes, &whole) {
        0 => 0xffff,
        sum => sum,
    };
    let sum = layer.number("sum", sum.into())?;
    bytes[6..8].copy_from_slice(&(sum as u16).to_be_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

fn icmp(layer: &Layer, rest: &[Layer], ends: Pseudo) -> Result<Vec<u8>> {
    layer.only(&["type", "code", "rest", "mtu", "sum"])?;
    let word = layer.number("rest", layer.number("mtu", 0)?)?;
    let mut bytes = vec![layer.number("type", 0)? as u8, layer.number("code", 0)? as u8, 0, 0];
    bytes.extend(word.to_be_bytes());
    let payload = stack(rest, None)?;
    let sum = match layer.kind {
        "icmp6" => transport_sum(ends, 58, &bytes, &payload),
        _ => checksum(&[&bytes, &payload]),
    };
    let sum = layer.number("sum", sum.into())?;
    bytes[2..4].copy_from_slice(&(sum as u16).to_be_bytes());
    bytes.extend(payload);
    Ok(bytes)
}
