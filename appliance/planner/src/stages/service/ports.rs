//! Which service has which ports of one address: an exact port wins over a range, a range over `any`.

use sluice_datapath::abi::{INLINE_PORTS, PORT_RANGE_STEPS, PortRange, VipPort, port_key};
use sluice_model::{Name, PortSpec, Protocol};

/// Ranges that can be searched.
const MAX_RANGES: usize = 1 << PORT_RANGE_STEPS;

/// The ports that one service wants of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortClaim {
    /// The service.
    pub name: Name,
    /// Its index.
    pub service: u32,
    /// The protocol.
    pub protocol: Protocol,
    /// The ports.
    pub ports: PortSpec,
}

/// The ports of one address as the datapath searches them: first `exact`, then `ranges`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPorts {
    /// At most [`INLINE_PORTS`]. If there are more exact ports, all of them are in `ranges`.
    pub exact: Vec<VipPort>,
    /// Disjoint and ascending.
    pub ranges: Vec<PortRange>,
}

/// Why the claims of an address cannot be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortConflict {
    /// Two claims for the same ports; the second in the order of names comes second.
    Taken(PortClaim, PortClaim),
    /// More ranges than can be searched.
    TooMany {
        /// How many.
        ranges: usize,
        /// How many there may be.
        limit: usize,
    },
}

impl AddressPorts {
    /// Divides the ports of an address.
    ///
    /// # Errors
    /// Two services with the same port, overlapping ranges, or `any` twice; too many ranges.
    pub fn new(claims: &[PortClaim]) -> Result<Self, PortConflict> {
        let of_kind = |kind: fn(PortSpec) -> bool| {
            layer(claims.iter().filter(|claim| kind(claim.ports)).collect())
        };
        let exact = of_kind(|ports| matches!(ports, PortSpec::One(_)))?;
        let ranges = of_kind(|ports| matches!(ports, PortSpec::Range(_)))?;
        let any = of_kind(|ports| matches!(ports, PortSpec::Any))?;
        let mut spans = overlay(&any, &ranges);
        let mut inline = Vec::new();
        if exact.len() <= INLINE_PORTS {
            inline = exact;
        } else {
            spans = overlay(&spans, &exact);
        }
        if spans.len() > MAX_RANGES {
            return Err(PortConflict::TooMany { ranges: spans.len(), limit: MAX_RANGES });
        }
        let port = |span: Span| VipPort { key: span.low, service: span.service };
        let range = |span: Span| PortRange {
            low: span.low,
            high: span.high,
            service: span.service,
            reserved: 0,
        };
        Ok(Self {
            exact: inline.into_iter().map(port).collect(),
            ranges: spans.into_iter().map(range).collect(),
        })
    }
}

/// Port keys from `low` to `high` that belong to a service.
#[derive(Clone, Copy)]
struct Span {
    low: u32,
    high: u32,
    service: u32,
}

impl From<&PortClaim> for Span {
    fn from(claim: &PortClaim) -> Self {
        let (first, last) = match claim.ports {
            PortSpec::One(port) => (port.get(), port.get()),
            PortSpec::Range(range) => (range.first().get(), range.last().get()),
            PortSpec::Any => (0, u16::MAX),
        };
        let protocol = claim.protocol.number();
        Self {
            low: port_key(protocol, first),
            high: port_key(protocol, last),
            service: claim.service,
        }
    }
}

/// Claims of one kind in ascending order; they must not overlap.
fn layer(mut claims: Vec<&PortClaim>) -> Result<Vec<Span>, PortConflict> {
    claims.sort_by_key(|&claim| (Span::from(claim).low, &claim.name));
    if let Some(pair) =
        claims.windows(2).find(|pair| Span::from(pair[0]).high >= Span::from(pair[1]).low)
    {
        let mut pair = [pair[0], pair[1]].map(Clone::clone);
        pair.sort_by(|a, b| a.name.cmp(&b.name));
        let [first, second] = pair;
        return Err(PortConflict::Taken(first, second));
    }
    Ok(claims.into_iter().map(Span::from).collect())
}

/// Lays ascending, disjoint spans over others: what is under them is cut away.
fn overlay(below: &[Span], above: &[Span]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(below.len() + 2 * above.len());
    let mut above = above.iter().peekable();
    let mut free_from = 0;
    for span in below {
        free_from = span.low.max(free_from);
        while let Some(top) = above.next_if(|top| top.low <= span.high) {
            if free_from < top.low {
                spans.push(Span { low: free_from, high: top.low - 1, ..*span });
            }
            spans.push(*top);
            free_from = free_from.max(top.high + 1);
        }
        if free_from <= span.high {
            spans.push(Span { low: free_from, ..*span });
        }
    }
    spans.extend(above);
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn claim(service: u32, protocol: Protocol, ports: &str) -> PortClaim {
        PortClaim {
            name: Name::new(format!("s{service}")).unwrap(),
            service,
            protocol,
            ports: ports.parse().unwrap(),
        }
    }

    fn find(ports: &AddressPorts, key: u32) -> Option<u32> {
        let exact = ports.exact.iter().find(|port| port.key == key).map(|port| port.service);
        let range = ports.ranges.iter().find(|range| range.low <= key && key <= range.high);
        exact.or_else(|| range.map(|range| range.service))
    }

    #[test]
    fn a_few_exact_ports_stand_in_the_line() {
        let ports =
            AddressPorts::new(&[claim(1, Protocol::Tcp, "443"), claim(2, Protocol::Tcp, "80")])
                .unwrap();
        assert_eq!(ports.ranges, []);
        assert_eq!(
            ports.exact.iter().map(|port| port.key).collect::<Vec<_>>(),
            [0x6_0050, 0x6_01bb]
        );
    }

    #[test]
    fn many_exact_ports_are_ranges() {
        let claims: Vec<_> = (1..=5).map(|i| claim(i, Protocol::Udp, &i.to_string())).collect();
        let ports = AddressPorts::new(&claims).unwrap();
        assert_eq!((ports.exact.len(), ports.ranges.len()), (0, 5));
    }

    #[test]
    fn any_is_what_the_others_leave() {
        let ports = AddressPorts::new(&[
            claim(1, Protocol::Tcp, "any"),
            claim(2, Protocol::Tcp, "8000-8100"),
            claim(3, Protocol::Tcp, "8050"),
            claim(4, Protocol::Udp, "8000-8100"),
        ])
        .unwrap();
        let at = |protocol, port| find(&ports, port_key(protocol, port));
        assert_eq!([at(6, 0), at(6, 7999), at(6, 8101), at(6, 65535)], [Some(1); 4]);
        assert_eq!([at(6, 8000), at(6, 8049), at(6, 8051), at(6, 8100)], [Some(2); 4]);
        assert_eq!(at(6, 8050), Some(3));
        assert_eq!([at(17, 7999), at(17, 8000), at(17, 8101)], [None, Some(4), None]);
    }

    #[test]
    fn conflicts_name_both_services() {
        for (one, other) in [("80", "80"), ("80-90", "90-100"), ("any", "any")] {
            let claims = [claim(2, Protocol::Tcp, one), claim(1, Protocol::Tcp, other)];
            let conflict = AddressPorts::new(&claims).unwrap_err();
            let PortConflict::Taken(first, second) = conflict else { panic!("{conflict:?}") };
            assert_eq!((first.service, second.service), (1, 2));
        }
    }

    proptest! {
        #[test]
        fn every_port_belongs_to_its_most_exact_claim(
            exact in prop::collection::btree_set(1_u16..60, 0..9),
            cuts in prop::collection::btree_set(1_u16..60, 0..10),
            any in any::<bool>(),
        ) {
            let mut claims = Vec::new();
            for port in exact {
                claims.push(claim(claims.len() as u32 + 1, Protocol::Tcp, &port.to_string()));
            }
            let cuts: Vec<_> = cuts.into_iter().collect();
            for pair in cuts.chunks_exact(2) {
                let ports = format!("{}-{}", pair[0], pair[1]);
                claims.push(claim(claims.len() as u32 + 1, Protocol::Tcp, &ports));
            }
            if any {
                claims.push(claim(claims.len() as u32 + 1, Protocol::Tcp, "any"));
            }
            let ports = AddressPorts::new(&claims).unwrap();
            prop_assert!(ports.ranges.windows(2).all(|pair| pair[0].high < pair[1].low));
            // Later layers are less exact.
            let mut owners = BTreeMap::new();
            for claim in claims.iter().rev() {
                (0..70).filter(|&port| claim.ports.contains(port)).for_each(|port| {
                    owners.insert(port, claim.service);
                });
            }
            for port in 0..70 {
                prop_assert_eq!(find(&ports, port_key(6, port)), owners.get(&port).copied());
            }
            prop_assert_eq!(find(&ports, port_key(17, 5)), None);
        }
    }
}
