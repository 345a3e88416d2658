//! The laboratory's network: namespaces, links, addresses, routes and offloads.

mod card;
mod namespace;
mod private_mounts;
mod programs;
mod wire;

pub(crate) use card::EmulatedCard;
pub(crate) use namespace::{Door, Namespace};
pub(crate) use private_mounts::PrivateMounts;
use programs::{Attached, DECAPSULATE};
use wire::Wire;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use crate::plan::{
    BACKENDS, Backend, CLIENT_NAMESPACE, CLIENT_SUBNET, DENIED_SOURCES, Delivery, FAR_LINK,
    FIRST_LOAD_PORT, GATEWAY_NAMESPACE, LOAD_SOURCES_V4, LOAD_SOURCES_V6, MTU_BYTES, NAT_POOL, Nic,
    SERVICES, Subnet, WIRE_NAMESPACE,
};

/// What offloads have to be where frames pass XDP.
///
/// veth hands over frames whose checksum was never computed (`CHECKSUM_PARTIAL`), and whole TCP super-packets. The
/// kernel's own receive path knows that; an XDP program that rewrites or redirects the frame does not, and sends out
/// a bad checksum. Hence the sender computes checksums and cuts segments itself.
///
/// A frame redirected to a veth is received by its peer in NAPI, which a veth runs only while it has an XDP program
/// or GRO; otherwise the frame is lost without a trace. Hence GRO at the far ends.
///
/// A frame that a program sends back by the link it came in by (`XDP_TX`) is put into the peer's ring, but wakes the
/// peer's NAPI only if that has an XDP program: with GRO alone it lies there until some other frame comes. Hence the
/// program for decapsulation at the client too, which has nothing to decapsulate.
const FAR_END_OFFLOADS: [&str; 8] = ["tx", "off", "tso", "off", "gso", "off", "gro", "on"];

/// The network, removed when dropped.
pub(crate) struct Topology {
    // The programs go before the links they are attached to.
    _decapsulation: Vec<Attached>,
    _wire: Option<Wire>,
    pub(crate) card: Option<EmulatedCard>,
    pub(crate) client: Namespace,
    pub(crate) gateway: Namespace,
    backends: Vec<Namespace>,
}

impl Topology {
    /// Builds everything; `ebpf` is the object with the backends' decapsulation.
    pub(crate) fn build(ebpf: &Path, nic: Nic) -> Result<Self> {
        remove_stale()?;
        let client = Namespace::create(CLIENT_NAMESPACE)?;
        let gateway = Namespace::create(GATEWAY_NAMESPACE)?;
        let mut backends = Vec::new();
        for backend in BACKENDS {
            backends.push(Namespace::create(&backend.namespace())?);
        }
        parameters(&client, &gateway, &backends)?;
        let object = std::fs::read(ebpf)
            .with_context(|| format!("cannot read {}: `cargo xtask build-ebpf`", ebpf.display()))?;
        let (mut wire, mut card) = (None, None);
        match nic {
            Nic::Veth => connect(&gateway, &client, CLIENT_SUBNET)?,
            Nic::Netdevsim => wire = Some(connect_by_wire(&gateway, &client, CLIENT_SUBNET)?),
            Nic::Emulated => card = Some(connect_by_switch(&gateway, &client, &backends, &object)?),
        }
        if nic != Nic::Emulated {
            for (backend, namespace) in BACKENDS.into_iter().zip(&backends) {
                connect(&gateway, namespace, backend.subnet())?;
            }
        }
        client.ip(&further_client_addresses())?;
        gateway.ip(&loopback_addresses(NAT_POOL))?;
        let direct = SERVICES.iter().filter(|service| service.delivery == Delivery::Dsr);
        let virtual_addresses: Vec<_> = direct.map(|service| service.address).collect();
        for namespace in &backends {
            namespace.ip(&loopback_addresses(virtual_addresses.iter().copied()))?;
        }
        let decapsulation = backends
            .iter()
            .chain([&client])
            .map(|namespace| Attached::attach(&object, DECAPSULATE, namespace, FAR_LINK))
            .collect::<Result<_>>()?;
        Ok(Topology { _decapsulation: decapsulation, _wire: wire, card, client, gateway, backends })
    }

    /// The far ends, where TCP is.
    pub(crate) fn far_ends(&self) -> impl Iterator<Item = &Namespace> {
        self.backends.iter().chain([&self.client])
    }

    pub(crate) fn backend(&self, backend: Backend) -> Result<&Namespace> {
        BACKENDS
            .iter()
            .position(|other| *other == backend)
            .and_then(|index| self.backends.get(index))
            .with_context(|| format!("the laboratory has no backend {backend}"))
    }
}

/// Removes what an earlier laboratory left when it was killed.
pub(crate) fn remove_stale() -> Result<()> {
    let fixed = [CLIENT_NAMESPACE, GATEWAY_NAMESPACE, WIRE_NAMESPACE].map(str::to_owned);
    for name in fixed.into_iter().chain(BACKENDS.map(Backend::namespace)) {
        namespace::remove_stale(&name)?;
    }
    Ok(())
}

fn parameters(client: &Namespace, gateway: &Namespace, backends: &[Namespace]) -> Result<()> {
    for namespace in backends.iter().chain([client, gateway]) {
        namespace.parameters(&[
            // Addresses are usable at once.
            ("net/ipv6/conf/default/accept_dad", "0"),
            ("net/ipv6/conf/all/accept_dad", "0"),
            // Replies of DSR come from another side than the requests went to.
            ("net/ipv4/conf/all/rp_filter", "0"),
            ("net/ipv4/conf/default/rp_filter", "0"),
        ])?;
    }
    gateway.parameters(&[
        ("net/ipv4/ip_forward", "1"),
        ("net/ipv6/conf/all/forwarding", "1"),
        ("net/ipv4/conf/all/send_redirects", "0"),
        ("net/ipv4/conf/default/send_redirects", "0"),
    ])?;
    // Tens of thousands of short connections to one address.
    client.parameters(&[
        ("net/ipv4/ip_local_port_range", &format!("1024 {}", FIRST_LOAD_PORT - 1)),
        ("net/ipv4/tcp_tw_reuse", "1"),
    ])?;
    for backend in backends {
        // The virtual addresses on lo are nobody's to ask for.
        backend.parameters(&[
            ("net/ipv4/conf/all/arp_ignore", "1"),
            ("net/ipv4/conf/all/arp_announce", "2"),
            ("net/core/somaxconn", "4096"),
            ("net/ipv4/tcp_max_syn_backlog", "4096"),
        ])?;
    }
    Ok(())
}

/// A veth pair between the gateway and a far end.
fn connect(gateway: &Namespace, far: &Namespace, subnet: Subnet) -> Result<()> {
    let near_link = subnet.gateway_link();
    gateway.connect(&near_link, far, FAR_LINK, MTU_BYTES)?;
    address(gateway, &near_link, far, subnet)?;
    // The gateway's own packets (probes, ICMP errors) pass the backends' XDP program too.
    gateway.offloads(&near_link, &["tx", "off"])
}

/// A simulated NIC at the gateway, and a wire from it to a far end.
fn connect_by_wire(gateway: &Namespace, far: &Namespace, subnet: Subnet) -> Result<Wire> {
    let wire = Wire::lay(gateway, &subnet.gateway_link(), far, FAR_LINK)?;
    address(gateway, &subnet.gateway_link(), far, subnet)?;
    Ok(wire)
}

/// Everybody on one switch, and the gateway with one link behind an emulated card.
fn connect_by_switch(
    gateway: &Namespace,
    client: &Namespace,
    backends: &[Namespace],
    object: &[u8],
) -> Result<EmulatedCard> {
    let ports = BACKENDS.map(|backend| backend.to_string());
    let backends = BACKENDS.iter().zip(backends).zip(&ports);
    let backends = backends.map(|((backend, far), port)| (far, backend.subnet(), port.as_str()));
    let far_ends: Vec<_> =
        [(client, CLIENT_SUBNET, "client")].into_iter().chain(backends).collect();
    let gateway_link = CLIENT_SUBNET.gateway_link();
    let wired: Vec<_> = far_ends.iter().map(|(far, _, port)| (*far, FAR_LINK, *port)).collect();
    let card = EmulatedCard::build(gateway, &gateway_link, &wired, object)?;
    for (far, subnet, _) in far_ends {
        address(gateway, &gateway_link, far, subnet)?;
    }
    Ok(card)
}

/// Addresses of both ends, which come up, and the far end's default routes and offloads.
fn address(gateway: &Namespace, near_link: &str, far: &Namespace, subnet: Subnet) -> Result<()> {
    gateway.ip(&format!(
        "address add {}/24 dev {near_link}\n\
         address add {}/64 dev {near_link} nodad\n\
         link set dev {near_link} up\n",
        subnet.gateway_v4(),
        subnet.gateway_v6(),
    ))?;
    far.ip(&format!(
        "address add {}/24 dev {FAR_LINK}\n\
         address add {}/64 dev {FAR_LINK} nodad\n\
         link set dev {FAR_LINK} up\n\
         route add default via {}\n\
         route add default via {}\n",
        subnet.far_v4(),
        subnet.far_v6(),
        subnet.gateway_v4(),
        subnet.gateway_v6(),
    ))?;
    far.offloads(FAR_LINK, &FAR_END_OFFLOADS)
}

/// Never chosen by themselves: a secondary IPv4 address, a deprecated IPv6 one.
fn further_client_addresses() -> String {
    let addresses = DENIED_SOURCES.into_iter().chain(LOAD_SOURCES_V4).chain(LOAD_SOURCES_V6);
    addresses.fold(String::new(), |mut lines, address| {
        let settings = if address.is_ipv4() { "/24" } else { "/64 nodad preferred_lft 0" };
        let (length, options) = settings.split_once(' ').unwrap_or((settings, ""));
        let _ = writeln!(lines, "address add {address}{length} dev {FAR_LINK} {options}");
        lines
    })
}

fn loopback_addresses(addresses: impl IntoIterator<Item = std::net::IpAddr>) -> String {
    addresses.into_iter().fold(String::new(), |mut lines, address| {
        let length = if address.is_ipv4() { 32 } else { 128 };
        let _ = writeln!(lines, "address add {address}/{length} dev lo");
        lines
    })
}
