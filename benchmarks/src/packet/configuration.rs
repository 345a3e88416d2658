//! The configurations that are measured, as a user would write them.

use super::frame::{source4, source6};
use std::{
    collections::HashSet,
    fmt::Write,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Backends of each service.
pub(super) const BACKENDS: u8 = 100;
/// Addresses of the NAT pool of each family: room for twice as many flows as are measured.
const POOL: u8 = 32;
/// The port of every service.
pub(super) const PORT: u16 = 443;
/// The number of the first flow that comes from a listed prefix.
pub(super) const LISTED: u32 = 1 << 28;
/// Flows whose sources are never listed: those of the largest measurement with a prefilter.
pub(super) const UNLISTED: u32 = 1 << 20;
/// The template of IPv6 sources.
pub(super) const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 1);
/// The template of IPv4 sources.
pub(super) const CLIENT4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

/// How packets reach the backends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Direct server return.
    Dsr,
    /// Address translation.
    Nat,
}

impl Delivery {
    /// The word in names of cases.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dsr => "dsr",
            Self::Nat => "nat",
        }
    }
}

/// What is configured.
#[derive(Clone, Debug, Default)]
pub struct Configuration {
    /// The services.
    pub services: Vec<Delivery>,
    /// Blocked prefixes, IPv4 and IPv6.
    pub prefixes: (usize, usize),
    /// A service with affinity, one with allowed sources, one with a range of ports.
    pub extras: bool,
    /// The first backend of every service has left.
    pub one_left: bool,
}

/// The virtual address of the services of one family.
pub(super) fn virtual_address(delivery: Delivery, v6: bool) -> IpAddr {
    let host = match delivery {
        Delivery::Dsr => 10,
        Delivery::Nat => 20,
    };
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, host.into()))
    } else {
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, host))
    }
}

fn backend(delivery: Delivery, v6: bool, number: u8) -> IpAddr {
    let network = match delivery {
        Delivery::Dsr => 1,
        Delivery::Nat => 2,
    };
    if v6 {
        IpAddr::V6(Ipv6Addr::new(0xfd00, network.into(), 0, 0, 0, 0, 0, number.into()))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, network, number))
    }
}

impl Configuration {
    /// As YAML.
    pub fn yaml(&self) -> String {
        let mut yaml =
            "apiVersion: sluice.dev/v1\nkind: Gateway\nmetadata: {name: gateway}\nspec:\n  \
                        links: [{name: eth0}]\n"
                .to_owned();
        if self.services.contains(&Delivery::Nat) {
            let v4 = (1..=POOL).map(|host| format!("10.1.0.{host}"));
            let v6 = (1..=POOL).map(|host| format!("'fd00:9::{host:x}'"));
            let addresses = v4.chain(v6).collect::<Vec<_>>().join(", ");
            yaml += &format!("  natPools: [{{name: default, addresses: [{addresses}]}}]\n");
        }
        for &delivery in &self.services {
            for v6 in [false, true] {
                for protocol in ["TCP", "UDP"] {
                    self.service(&mut yaml, delivery, v6, protocol);
                }
            }
        }
        if self.extras {
            yaml += EXTRAS;
        }
        self.prefilter(&mut yaml);
        yaml
    }

    fn service(&self, yaml: &mut String, delivery: Delivery, v6: bool, protocol: &str) {
        let first = if self.one_left { 2 } else { 1 };
        let backends = (first..=BACKENDS)
            .map(|number| format!("{{address: '{}'}}", backend(delivery, v6, number)))
            .collect::<Vec<_>>()
            .join(", ");
        let (mode, family) = (delivery.word(), if v6 { 6 } else { 4 });
        let address = virtual_address(delivery, v6);
        *yaml += &format!(
            "---\napiVersion: sluice.dev/v1\nkind: Service\nmetadata: {{name: {mode}-{}{family}}}\nspec:\n  \
             address: '{address}'\n  protocol: {protocol}\n  port: {PORT}\n  mode: {mode}\n  \
             backends: [{backends}]\n",
            protocol.to_lowercase()
        );
    }

    fn prefilter(&self, yaml: &mut String) {
        let prefixes = prefixes(self.prefixes.0, self.prefixes.1);
        if prefixes.is_empty() {
            return;
        }
        *yaml += "---\napiVersion: sluice.dev/v1\nkind: Prefilter\nmetadata: {name: blocked}\nspec:\n  deny:\n";
        for (address, bits) in prefixes {
            let _ = writeln!(yaml, "  - '{address}/{bits}'");
        }
    }
}

/// What a configuration that uses everything has besides.
const EXTRAS: &str = "---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: sticky}
spec: {address: 192.0.2.30, protocol: TCP, port: 443, mode: dsr, affinity: source, backends: [{address: 10.0.3.1}]}
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: few}
spec: {address: 192.0.2.31, protocol: TCP, port: 443, mode: dsr, allowedSources: [203.0.113.0/24], backends: [{address: 10.0.3.1}]}
---
apiVersion: sluice.dev/v1
kind: Service
metadata: {name: range}
spec: {address: 192.0.2.32, protocol: UDP, port: 8000-8100, mode: dsr, backends: [{address: 10.0.3.1}]}
";

/// Prefix lengths of a list of IPv4 addresses and networks, as lists of attackers have them: of 256 prefixes.
const LENGTHS4: [(u8, u8); 11] = [
    (20, 1),
    (21, 2),
    (22, 3),
    (23, 3),
    (24, 28),
    (25, 2),
    (26, 3),
    (27, 3),
    (28, 5),
    (29, 6),
    (32, 200),
];
const LENGTHS6: [(u8, u8); 6] = [(32, 4), (40, 4), (48, 40), (56, 28), (64, 60), (128, 120)];

fn length(lengths: &[(u8, u8)], number: u32) -> u8 {
    let mut place = (number.wrapping_mul(0x9e37_79b1) >> 24) as u8;
    for (bits, share) in lengths {
        match place.checked_sub(*share) {
            Some(rest) => place = rest,
            None => return *bits,
        }
    }
    32
}

/// So many prefixes of each family. Each contains the source of the flow [`LISTED`] and its number, and none contains
/// the source of a flow below [`UNLISTED`].
pub fn prefixes(v4: usize, v6: usize) -> Vec<(IpAddr, u8)> {
    let mut prefixes = Vec::with_capacity(v4 + v6);
    if v4 > 0 {
        let spared: HashSet<u32> = (0..UNLISTED).map(|flow| source4(flow).to_bits() >> 8).collect();
        let mut seen = HashSet::new();
        for number in 0..v4 as u32 {
            let source = source4(LISTED + number);
            let mut bits = length(&LENGTHS4, number);
            let network = |bits: u8| source.to_bits() & u32::MAX << (32 - bits);
            // A network that would cover a spared source is only its one address.
            let (first, last) =
                (network(bits) >> 8, (network(bits) | !(u32::MAX << (32 - bits))) >> 8);
            if bits < 32 && (first..=last).any(|unit| spared.contains(&unit)) {
                bits = 32;
            }
            if !seen.insert((network(bits), bits)) {
                bits = 32;
            }
            prefixes.push((IpAddr::V4(network(bits).into()), bits));
        }
    }
    for number in 0..v6 as u32 {
        let bits = length(&LENGTHS6, number);
        let address = source6(LISTED + number, CLIENT6).to_bits();
        let network = address & u128::MAX << (128 - u32::from(bits));
        prefixes.push((IpAddr::V6(network.into()), bits));
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_contain_what_is_listed_and_nothing_that_is_not() {
        let prefixes = prefixes(5000, 1000);
        let distinct: HashSet<_> = prefixes.iter().collect();
        assert_eq!(distinct.len(), 6000);
        let contains = |prefix: &(IpAddr, u8), address: IpAddr| match (prefix.0, address) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                (net.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(prefix.1)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                (net.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(prefix.1)
            }
            _ => false,
        };
        for (number, prefix) in (0..).zip(&prefixes[..5000]) {
            assert!(contains(prefix, source4(LISTED + number).into()));
        }
        for (number, prefix) in (0..).zip(&prefixes[5000..]) {
            assert!(contains(prefix, source6(LISTED + number, CLIENT6).into()));
        }
        for flow in (0..UNLISTED).step_by(4099) {
            let (v4, v6) = (source4(flow).into(), source6(flow, CLIENT6).into());
            assert!(!prefixes.iter().any(|prefix| contains(prefix, v4) || contains(prefix, v6)));
        }
        let lengths: HashSet<u8> = prefixes[..5000].iter().map(|prefix| prefix.1).collect();
        assert!(lengths.len() > 6, "{lengths:?}");
    }
}
