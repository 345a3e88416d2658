//! The entry of a backend: where packets to it go and how large they may be.

use std::net::IpAddr;

use sluice_datapath::abi::{Address, Backend, BackendFlags, Mac, address4, address6};
use sluice_model::{DeliveryMode, ServiceSpec, TunnelSource};

use super::state::Condition;
use crate::{
    Ways,
    facts::{Endpoint, NextHop},
};

/// Bytes of an outer IPv4 header (RFC 2003).
const OUTER_IPV4: u32 = 20;
/// Bytes of an outer IPv6 header (RFC 2473).
const OUTER_IPV6: u32 = 40;

/// What is common to the backends of a service.
pub struct Delivery<'a> {
    /// How packets reach them.
    pub mode: DeliveryMode,
    /// Index of the service.
    pub service: u32,
    /// Outer source addresses of the configuration.
    pub tunnel_source: TunnelSource,
    /// Where packets to an address leave.
    pub ways: &'a Ways,
}

impl<'a> Delivery<'a> {
    /// That of a service.
    #[must_use]
    pub fn of(
        spec: &ServiceSpec,
        service: u32,
        tunnel_source: TunnelSource,
        ways: &'a Ways,
    ) -> Self {
        Self { mode: spec.mode, service, tunnel_source, ways }
    }

    /// The entry of a backend, and why packets cannot be sent to it, if they cannot.
    ///
    /// A backend that is gone is marked dead and has no next hop: nothing is sent to it whatever refers to it.
    #[must_use]
    pub fn record(&self, endpoint: &Endpoint, condition: Condition) -> (Backend, Option<String>) {
        let v6 = endpoint.address.is_ipv6();
        let family = if v6 { BackendFlags::IPV6 } else { 0 };
        let mut record = Backend {
            address: table_address(endpoint.address),
            service: self.service,
            port: endpoint.port,
            flags: BackendFlags(BackendFlags::USED | family),
            ..Backend::default()
        };
        let unreachable = self.resolve(endpoint, &mut record).err();
        if condition.is_gone() {
            record.flags.0 = record.flags.0 & !BackendFlags::RESOLVED | BackendFlags::DEAD;
        }
        (record, unreachable)
    }

    fn resolve(&self, endpoint: &Endpoint, record: &mut Backend) -> Result<(), String> {
        let v6 = endpoint.address.is_ipv6();
        let way = self.ways.get(&endpoint.address);
        let hop = way.ok_or("its route is not known yet")?.as_ref().map_err(String::clone)?;
        let mut overhead = 0;
        if self.mode == DeliveryMode::Dsr {
            overhead = if v6 { OUTER_IPV6 } else { OUTER_IPV4 };
            record.tunnel_source = self.tunnel_source(v6, hop)?;
        }
        record.next_hop = mac(hop.mac);
        record.source_mac = mac(hop.source_mac);
        record.vlan = hop.vlan.unwrap_or(0).to_be();
        record.max_length = u16::try_from(hop.mtu.saturating_sub(overhead)).unwrap_or(u16::MAX);
        record.ifindex = hop.ifindex;
        record.flags.0 |= BackendFlags::RESOLVED;
        Ok(())
    }

    fn tunnel_source(&self, v6: bool, hop: &NextHop) -> Result<Address, String> {
        let configured = if v6 {
            self.tunnel_source.ipv6.map(IpAddr::V6)
        } else {
            self.tunnel_source.ipv4.map(IpAddr::V4)
        };
        let source = configured.or(hop.source).filter(|source| source.is_ipv6() == v6);
        source.map(table_address).ok_or_else(|| {
            let (family, field) = if v6 { ("IPv6", "ipv6") } else { ("IPv4", "ipv4") };
            format!(
                "the link it is reached by has no {family} address to tunnel from: give it one or set \
                 spec.tunnelSource.{field} of the Gateway"
            )
        })
    }
}

/// An address as it stands in tables.
pub(crate) fn table_address(address: IpAddr) -> Address {
    match address {
        IpAddr::V4(address) => address4(address),
        IpAddr::V6(address) => address6(address),
    }
}

fn mac(bytes: [u8; 6]) -> Mac {
    let [a, b, c, d, e, f] = bytes;
    [u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]), u16::from_ne_bytes([e, f])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Way;

    fn hop(mtu: u32, source: &str) -> NextHop {
        NextHop {
            ifindex: 7,
            mac: [1, 2, 3, 4, 5, 6],
            source_mac: [6, 5, 4, 3, 2, 1],
            vlan: Some(5),
            mtu,
            source: Some(source.parse().unwrap()),
        }
    }

    fn record(
        mode: DeliveryMode,
        address: &str,
        way: Way,
        condition: Condition,
    ) -> (Backend, Option<String>) {
        let address: IpAddr = address.parse().unwrap();
        let ways = Ways::from_iter([(address, way)]);
        let tunnel_source = TunnelSource { ipv4: Some([10, 0, 0, 9].into()), ipv6: None };
        let delivery = Delivery { mode, service: 3, tunnel_source, ways: &ways };
        let port = if mode == DeliveryMode::Nat { 8080 } else { 0 };
        delivery.record(&Endpoint { address, port }, condition)
    }

    #[test]
    fn a_tunnel_takes_its_header_from_the_mtu() {
        let (v4, why) =
            record(DeliveryMode::Dsr, "10.0.0.1", Ok(hop(1500, "10.0.0.2")), Condition::Serving);
        assert_eq!((v4.max_length, v4.port, why), (1480, 0, None));
        assert_eq!(v4.tunnel_source, address4([10, 0, 0, 9].into()));
        assert_eq!(v4.flags.0, BackendFlags::USED | BackendFlags::RESOLVED);
        let (v6, _) =
            record(DeliveryMode::Dsr, "fd00::1", Ok(hop(1500, "fd00::2")), Condition::Serving);
        assert_eq!(v6.max_length, 1460);
        assert_eq!(v6.tunnel_source, address6("fd00::2".parse().unwrap()));
        assert_eq!(v6.flags.0, BackendFlags::USED | BackendFlags::RESOLVED | BackendFlags::IPV6);
    }

    #[test]
    fn a_translated_packet_may_be_as_large_as_the_way() {
        let (backend, _) =
            record(DeliveryMode::Nat, "10.0.0.1", Ok(hop(9000, "10.0.0.2")), Condition::Serving);
        assert_eq!((backend.max_length, backend.port, backend.tunnel_source), (9000, 8080, [0; 4]));
        let (backend, _) =
            record(DeliveryMode::Nat, "10.0.0.1", Ok(hop(65536, "10.0.0.2")), Condition::Serving);
        assert_eq!(backend.max_length, 65535);
    }

    #[test]
    fn addresses_stand_as_in_packets() {
        let (backend, _) =
            record(DeliveryMode::Nat, "10.0.0.1", Ok(hop(1500, "10.0.0.2")), Condition::Serving);
        let bytes = |words: [u16; 3]| words.map(u16::to_ne_bytes).concat();
        assert_eq!(bytes(backend.next_hop), [1, 2, 3, 4, 5, 6]);
        assert_eq!(bytes(backend.source_mac), [6, 5, 4, 3, 2, 1]);
        assert_eq!(backend.vlan.to_ne_bytes(), [0, 5]);
        assert_eq!(backend.address[0].to_ne_bytes(), [10, 0, 0, 1]);
    }

    #[test]
    fn a_backend_without_a_way_is_not_sent_to() {
        let (backend, why) =
            record(DeliveryMode::Nat, "10.0.0.1", Err("silent".into()), Condition::Serving);
        assert_eq!((backend.flags.0, why.as_deref()), (BackendFlags::USED, Some("silent")));
        let (backend, why) =
            record(DeliveryMode::Dsr, "fd00::1", Ok(hop(1500, "10.0.0.2")), Condition::Serving);
        assert!(!backend.flags.has(BackendFlags::RESOLVED));
        assert!(why.unwrap().contains("spec.tunnelSource.ipv6"));
    }

    #[test]
    fn a_backend_that_is_gone_gets_nothing() {
        for condition in [Condition::Down, Condition::Disabled, Condition::Expired] {
            let (backend, why) =
                record(DeliveryMode::Dsr, "10.0.0.1", Ok(hop(1500, "10.0.0.2")), condition);
            assert_eq!((backend.flags.0, why), (BackendFlags::USED | BackendFlags::DEAD, None));
        }
    }
}
