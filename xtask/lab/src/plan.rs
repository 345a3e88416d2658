//! The laboratory on paper: names, addresses and services. Nothing here touches the system.
//!
//! ```text
//!  client ---- eth0 [gateway] eth1 ---- b1
//!                             eth2 ---- b2
//!                             eth3 ---- b3
//!                             eth4 ---- b4   (serves only after it was added)
//! ```
//!
//! Each line is a veth pair with its own subnets: 10.10.N.0/24 and fd00:10:N::/64, N = 0 for the client's and the
//! backend's number otherwise. The gateway is .1 and ::1, the other end .2 and ::2.
//!
//! With a simulated NIC a wire is between client and gateway, and with an emulated card all of them are on one switch, see
//! [`Nic`].

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

pub(crate) const CLIENT_NAMESPACE: &str = "sluice-lab-client";
pub(crate) const GATEWAY_NAMESPACE: &str = "sluice-lab-gateway";
/// Between the client and a simulated NIC, or the switch in front of an emulated card.
pub(crate) const WIRE_NAMESPACE: &str = "sluice-lab-wire";
/// The one link of client and backends.
pub(crate) const FAR_LINK: &str = "eth0";
pub(crate) const MTU_BYTES: u32 = 1500;

/// The port that clients know.
pub(crate) const SERVICE_PORT: u16 = 80;
/// The port that NAT services translate to.
pub(crate) const NAT_BACKEND_PORT: u16 = 8080;

/// Where NAT services' replies go: the backends reach these addresses over their default route.
pub(crate) const NAT_POOL: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 100, 1)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0x100, 0, 0, 0, 0, 1)),
];
/// Further addresses of the client, which the prefilter denies.
pub(crate) const DENIED_SOURCES: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 66)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x66)),
];

/// Further addresses of the client, from which the steady load comes.
pub(crate) const LOAD_SOURCES_V4: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 16)),
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 17)),
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 18)),
    IpAddr::V4(Ipv4Addr::new(10, 10, 0, 19)),
];
/// The same of IPv6.
pub(crate) const LOAD_SOURCES_V6: [IpAddr; 4] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x16)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x17)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x18)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x10, 0, 0, 0, 0, 0, 0x19)),
];
/// The client's kernel takes its ports below this one; the steady load takes its own from here on.
pub(crate) const FIRST_LOAD_PORT: u16 = 40_000;

/// How often backends are probed, how long a probe may take, how many must fail.
pub(crate) const PROBE_INTERVAL: Duration = Duration::from_millis(500);
pub(crate) const PROBE_TIMEOUT: Duration = Duration::from_millis(300);
pub(crate) const PROBE_FALL: u32 = 2;

/// What the gateway's link to the client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Nic {
    /// One end of a veth pair, as all other links
    #[default]
    Veth,
    /// A NIC of the driver netdevsim, on which programs can be placed (they never run there)
    Netdevsim,
    /// One end of a veth pair, with a card in front that the kernel emulates: its programs meet every packet. It is the
    /// gateway's only link
    Emulated,
}

/// Where the programs for the emulated card run, in the gateway's namespace.
pub(crate) const CARD_LINK: &str = "outer0";

impl Nic {
    /// How the gateway's programs are attached. A simulated NIC has no XDP of its own on some kernels, and on none takes
    /// frames that another link's driver redirects to it.
    pub(crate) fn attach(self) -> &'static str {
        match self {
            Nic::Veth | Nic::Emulated => "auto",
            Nic::Netdevsim => "generic",
        }
    }

    /// The gateway's links.
    pub(crate) fn gateway_links(self) -> Vec<String> {
        let backends = BACKENDS.map(Backend::subnet);
        let others = if self == Nic::Emulated { &[][..] } else { &backends };
        [CLIENT_SUBNET].iter().chain(others).map(|subnet| subnet.gateway_link()).collect()
    }
}

/// A subnet of the laboratory: the client's (0) or a backend's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Subnet(pub(crate) u8);

impl Subnet {
    pub(crate) fn gateway_v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 10, self.0, 1)
    }

    pub(crate) fn gateway_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x10, u16::from(self.0), 0, 0, 0, 0, 1)
    }

    pub(crate) fn far_v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 10, self.0, 2)
    }

    pub(crate) fn far_v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, 0x10, u16::from(self.0), 0, 0, 0, 0, 2)
    }

    /// The gateway's link into this subnet.
    pub(crate) fn gateway_link(self) -> String {
        format!("eth{}", self.0)
    }
}

pub(crate) const CLIENT_SUBNET: Subnet = Subnet(0);

/// A backend: `b1` to `b4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Backend(u8);

/// The three that serve from the start, and the one that is added.
pub(crate) const BACKENDS: [Backend; 4] = [Backend(1), Backend(2), Backend(3), Backend(4)];

impl Backend {
    pub(crate) fn namespace(self) -> String {
        format!("sluice-lab-{self}")
    }

    pub(crate) fn subnet(self) -> Subnet {
        Subnet(self.0)
    }

    pub(crate) fn address(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.subnet().far_v4().into(),
            Family::V6 => self.subnet().far_v6().into(),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("b{}", self.0))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// How packets reach the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// Encapsulated; the reply goes straight to the client.
    Dsr,
    /// Both addresses translated; the reply comes back through the gateway.
    Nat,
}

/// A service: every combination of family and delivery that Sluice knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) address: IpAddr,
    pub(crate) delivery: Delivery,
    /// The family of the backends' addresses: of the outer header with DSR.
    pub(crate) backend_family: Family,
}

pub(crate) const SERVICES: [Service; 5] = [
    Service {
        name: "dsr4",
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
        delivery: Delivery::Dsr,
        backend_family: Family::V4,
    },
    Service {
        name: "dsr6",
        address: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10)),
        delivery: Delivery::Dsr,
        backend_family: Family::V6,
    },
    Service {
        name: "dsr4in6",
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 46)),
        delivery: Delivery::Dsr,
        backend_family: Family::V6,
    },
    Service {
        name: "nat4",
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 20)),
        delivery: Delivery::Nat,
        backend_family: Family::V4,
    },
    Service {
        name: "nat6",
        address: IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x20)),
        delivery: Delivery::Nat,
        backend_family: Family::V6,
    },
];

impl Service {
    pub(crate) fn socket_address(self) -> SocketAddr {
        SocketAddr::new(self.address, SERVICE_PORT)
    }

    pub(crate) fn mode(self) -> &'static str {
        match self.delivery {
            Delivery::Dsr => "dsr",
            Delivery::Nat => "nat",
        }
    }

    /// The port at which the backend hears the service.
    pub(crate) fn backend_port(self) -> u16 {
        match self.delivery {
            Delivery::Dsr => SERVICE_PORT,
            Delivery::Nat => NAT_BACKEND_PORT,
        }
    }

    /// The bytes that the outer header of DSR takes.
    pub(crate) fn outer_header_bytes(self) -> u32 {
        match (self.delivery, self.backend_family) {
            (Delivery::Nat, _) => 0,
            (Delivery::Dsr, Family::V4) => 20,
            (Delivery::Dsr, Family::V6) => 40,
        }
    }
}

/// What a configuration says of one backend, in every service alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) backend: Backend,
    pub(crate) weight: u32,
    pub(crate) drain: bool,
}

impl Member {
    pub(crate) fn active(backend: Backend, weight: u32) -> Self {
        Member { backend, weight, drain: false }
    }
}

/// The members at the start: two of weight 1, one of weight 2.
pub(crate) fn first_members() -> Vec<Member> {
    let [b1, b2, b3, _] = BACKENDS;
    vec![Member::active(b1, 1), Member::active(b2, 1), Member::active(b3, 2)]
}

/// The fraction of new connections that each member should get, 0 to 1.
pub(crate) fn expected_shares(members: &[Member]) -> Vec<(Backend, f64)> {
    let weight = |member: &Member| if member.drain { 0 } else { member.weight };
    let total: u32 = members.iter().map(weight).sum();
    members
        .iter()
        .map(|member| (member.backend, f64::from(weight(member)) / f64::from(total.max(1))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drained_member_has_no_share() {
        let mut members = first_members();
        members[2].drain = true;
        let shares: Vec<f64> =
            expected_shares(&members).into_iter().map(|(_, share)| share).collect();
        assert_eq!(shares, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn subnets_do_not_meet() {
        let mut addresses: Vec<IpAddr> = BACKENDS
            .iter()
            .map(|backend| backend.subnet())
            .chain([CLIENT_SUBNET])
            .flat_map(|subnet| {
                let v4 = [subnet.gateway_v4(), subnet.far_v4()].map(IpAddr::V4);
                let v6 = [subnet.gateway_v6(), subnet.far_v6()].map(IpAddr::V6);
                v4.into_iter().chain(v6)
            })
            .chain(SERVICES.map(|service| service.address))
            .chain(NAT_POOL)
            .chain(DENIED_SOURCES)
            .chain(LOAD_SOURCES_V4)
            .chain(LOAD_SOURCES_V6)
            .collect();
        let count = addresses.len();
        addresses.sort();
        addresses.dedup();
        assert_eq!(addresses.len(), count);
    }
}
