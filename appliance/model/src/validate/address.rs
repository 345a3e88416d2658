//! Addresses that no service, backend, pool or tunnel can have.

use std::net::IpAddr;

use crate::problem::Problem;

/// Why packets cannot be sent to or from this address.
pub(super) fn unusable(address: IpAddr) -> Option<Problem> {
    let found = |what: &str| {
        Some(Problem::new(format!("{address} is {what}")).with_hint("expected a unicast address"))
    };
    if address.is_unspecified() {
        return found("the unspecified address");
    }
    if address.is_loopback() {
        return found("a loopback address, which no packet on a link carries");
    }
    if address.is_multicast() {
        return found("a multicast address");
    }
    match address {
        IpAddr::V4(v4) if v4.is_broadcast() => found("the broadcast address"),
        // RFC 6890: 0.0.0.0/8 and 240.0.0.0/4 are never a destination that is forwarded.
        IpAddr::V4(v4) if v4.octets()[0] == 0 || v4.octets()[0] >= 240 => {
            found("a reserved address")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => {
            found("a link-local address, which means nothing without a link")
        }
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map(|v4| {
            Problem::new(format!("{address} is an IPv4 address in IPv6 form"))
                .with_hint(format!("write {v4}"))
        }),
        IpAddr::V4(_) => None,
    }
}

/// `IPv4` or `IPv6`.
pub(super) const fn family(address: IpAddr) -> &'static str {
    match address {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    }
}
