//! What no single field of a tunnel can tell.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::overhead::{Envelope, OuterFamily};
use super::wireguard_key::decode;
use super::{Ikev2, Role, Secret, SharedKey, TunnelSpec, TunnelType, Wireguard};
use crate::position::FieldPath;
use crate::problem::Problem;
use crate::values::Prefix;

/// A secret that people chose is tried out offline by whoever saw one negotiation.
const PRE_SHARED_KEY_LENGTH: usize = 20;
/// All keys of a group come from it.
const SHARED_SECRET_LENGTH: usize = 32;
const ROTATION_SECONDS: u64 = 60;

type Found = Vec<(FieldPath, Problem)>;

impl TunnelSpec {
    /// Everything that is wrong, each with its field.
    #[must_use]
    pub fn problems(&self) -> Vec<(FieldPath, Problem)> {
        let mut found = Found::new();
        sections(self, &mut found);
        ends(self, &mut found);
        networks(self, &mut found);
        match (self.tunnel_type, &self.ikev2, &self.shared_key, &self.wireguard) {
            (TunnelType::Ikev2, Some(ikev2), ..) => check_ikev2(self, ikev2, &mut found),
            (TunnelType::SharedKey, _, Some(shared), _) => check_shared(shared, &mut found),
            (TunnelType::Wireguard, .., Some(device)) => check_wireguard(device, &mut found),
            _ => {}
        }
        path_mtu(self, &mut found);
        found
    }
}

fn add(found: &mut Found, path: FieldPath, message: impl Into<String>, hint: impl Into<String>) {
    found.push((path, Problem::new(message).with_hint(hint)));
}

/// What the type needs is there, and nothing of another type.
fn sections(spec: &TunnelSpec, found: &mut Found) {
    let sections = [
        (TunnelType::Ikev2, spec.ikev2.is_some()),
        (TunnelType::SharedKey, spec.shared_key.is_some()),
        (TunnelType::Wireguard, spec.wireguard.is_some()),
    ];
    let wanted = spec.tunnel_type.as_str();
    for (of, is_there) in sections {
        let name = of.as_str();
        if of == spec.tunnel_type && !is_there {
            let message = format!("a tunnel of the type {wanted} needs this field");
            add(found, FieldPath::spec(name), message, "add it, or change the type");
        } else if of != spec.tunnel_type && is_there {
            let message = format!("it is for the type {name}, and this tunnel is {wanted}");
            add(found, FieldPath::spec(name), message, "remove it, or change the type");
        }
    }
}

fn ends(spec: &TunnelSpec, found: &mut Found) {
    let is_wireguard = spec.tunnel_type == TunnelType::Wireguard;
    for (name, end) in [("local", spec.local), ("remote", spec.remote)] {
        let path = FieldPath::spec(name);
        match end {
            Some(_) if is_wireguard => {
                let hint = "remove it; where a peer is stands with the peer";
                add(found, path, "a WireGuard device has no ends of its own", hint);
            }
            Some(address) if !is_unicast(address) => {
                let message = format!("{address} is no address of a host on the network");
                add(found, path, message, "write the outer address of this end");
            }
            None if spec.tunnel_type == TunnelType::SharedKey => {
                let message = "keys are derived from both outer addresses, and this one is missing";
                add(found, path, message, "add it, as the other end sees it");
            }
            _ => {}
        }
    }
    if let (Some(local), Some(remote)) = (spec.local, spec.remote) {
        if local == remote {
            let message = format!("{remote} is this end too");
            add(found, FieldPath::spec("remote"), message, "write the address of the other end");
        } else if local.is_ipv4() != remote.is_ipv4() {
            let message = format!("{remote} is of another family than {local}");
            let hint = "both outer addresses are IPv4, or both are IPv6";
            add(found, FieldPath::spec("remote"), message, hint);
        }
    }
}

fn is_unicast(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_broadcast)
}

fn networks(spec: &TunnelSpec, found: &mut Found) {
    prefixes(&spec.networks, &FieldPath::spec("networks"), found);
    for (index, network) in spec.networks.iter().enumerate() {
        if let Some(remote) = spec.remote.filter(|remote| network.net().contains(remote)) {
            let path = FieldPath::spec("networks").index(index);
            let message = format!("the tunnel's own packets to {remote} would go into the tunnel");
            add(found, path, message, "name networks that do not contain the other end's address");
        }
    }
    let peers = spec.wireguard.iter().flat_map(|device| &device.peers);
    let has_networks =
        !spec.networks.is_empty() || peers.flat_map(|peer| &peer.allowed).count() > 0;
    if spec.strict && !has_networks {
        let message = "there is no network whose packets it could hold back";
        add(found, FieldPath::spec("strict"), message, "add networks, or remove it");
    }
}

/// Each prefix once, and without host bits.
fn prefixes(list: &[Prefix], path: &FieldPath, found: &mut Found) {
    for (index, prefix) in list.iter().enumerate() {
        if prefix.has_host_bits() {
            let message = format!("{prefix} has host bits");
            let hint = format!("write {}", prefix.truncated());
            add(found, path.clone().index(index), message, hint);
        }
        if list.iter().take(index).any(|earlier| earlier == prefix) {
            let message = format!("{prefix} is listed twice");
            add(found, path.clone().index(index), message, "remove one of the two");
        }
    }
}

/// The message never shows the secret, nor how long it is.
fn too_short(secret: &Secret, length: usize) -> Option<String> {
    (secret.expose().len() < length).then(|| format!("it has fewer than {length} characters"))
}

const MAKE_SECRET: &str = "make one with `openssl rand -base64 33`";

fn check_ikev2(spec: &TunnelSpec, ikev2: &Ikev2, found: &mut Found) {
    let path = |field: &'static str| FieldPath::spec("ikev2").field(field);
    match (&ikev2.pre_shared_key, &ikev2.certificate_file) {
        (None, None) => {
            let message = "there is nothing that proves who this gateway is";
            let hint = "add preSharedKey, or certificateFile and authorityFile";
            add(found, FieldPath::spec("ikev2"), message, hint);
        }
        (Some(_), Some(_)) => {
            let message = "a secret and a certificate are two ways to prove the same";
            add(found, path("certificateFile"), message, "remove one of the two");
        }
        (Some(secret), None) => {
            if let Some(message) = too_short(secret, PRE_SHARED_KEY_LENGTH) {
                add(found, path("preSharedKey"), message, MAKE_SECRET);
            }
        }
        (None, Some(_)) if ikev2.authority_file.is_none() => {
            let message = "nothing says who may sign the other end's certificate";
            add(found, path("authorityFile"), message, "add the file with the authority's");
        }
        (None, Some(_)) => {}
    }
    if ikev2.role == Role::Initiator && spec.remote.is_none() {
        let message = "this gateway is to begin, and there is no address to begin with";
        add(found, path("role"), message, "add remote, or let the other end begin (responder)");
    }
    for (index, suite) in ikev2.suites.iter().enumerate() {
        if ikev2.suites.iter().take(index).any(|earlier| earlier == suite) {
            let path = path("suites").index(index);
            add(found, path, "this suite is listed twice", "remove one of the two");
        }
    }
}

fn check_shared(shared: &SharedKey, found: &mut Found) {
    let path = |field: &'static str| FieldPath::spec("sharedKey").field(field);
    match &shared.secret {
        None => add(found, path("secret"), "there is no secret", MAKE_SECRET),
        Some(secret) => {
            if let Some(message) = too_short(secret, SHARED_SECRET_LENGTH) {
                add(found, path("secret"), message, MAKE_SECRET);
            }
        }
    }
    if let Some(after) = shared.rotate_after
        && after.as_duration().as_secs() < ROTATION_SECONDS
    {
        let message = format!("{after} is shorter than {ROTATION_SECONDS}s");
        let hint = "old and new keys overlap for a while: take at least a minute, mostly hours";
        add(found, path("rotateAfter"), message, hint);
    }
}

fn check_wireguard(device: &Wireguard, found: &mut Found) {
    let key = FieldPath::spec("wireguard").field("privateKey");
    wireguard_secret(device.private_key.as_ref(), key, "wg genkey", found);
    let mut keys = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for (index, peer) in device.peers.iter().enumerate() {
        let path = FieldPath::spec("wireguard").field("peers").index(index);
        if let Some(first) = keys.insert(peer.public_key, index) {
            let message = format!("peers[{first}] has this key too");
            let hint = "a key is one peer's: remove one of the two, or correct its key";
            add(found, path.clone().field("publicKey"), message, hint);
        }
        let secret = path.clone().field("preSharedKey");
        wireguard_secret(peer.pre_shared_key.as_ref(), secret, "wg genpsk", found);
        if peer.address.is_some() != peer.port.is_some() {
            let missing = if peer.address.is_some() { "port" } else { "address" };
            let message = "a place has an address and a port, and this is missing";
            let hint = "add it, or remove the other, so that the peer begins";
            add(found, path.clone().field(missing), message, hint);
        }
        let allowed = path.clone().field("allowed");
        if peer.allowed.is_empty() {
            let hint = "add the peer's networks";
            add(found, allowed.clone(), "nothing is sent to this peer nor taken from it", hint);
        }
        prefixes(&peer.allowed, &allowed, found);
        for (number, prefix) in peer.allowed.iter().enumerate() {
            if let Some(owner) = owners.insert(*prefix, index).filter(|owner| *owner != index) {
                let message = format!("{prefix} is peers[{owner}]'s too");
                let hint = "packets to a network go to one peer: remove it from one of the two";
                add(found, allowed.clone().index(number), message, hint);
            }
        }
        if let Some(after) = peer.keep_alive
            && !(1..=65_535).contains(&after.as_duration().as_secs())
        {
            let message = format!("{after} is not from 1s to 65535s");
            add(
                found,
                path.field("keepAlive"),
                message,
                "25s keeps the way through most NATs open",
            );
        }
    }
}

fn wireguard_secret(secret: Option<&Secret>, path: FieldPath, made_by: &str, found: &mut Found) {
    if secret.is_some_and(|secret| decode(secret.expose()).is_none()) {
        let message = "this is not a key of WireGuard";
        add(found, path, message, format!("write the 44 characters of `{made_by}`"));
    }
}

/// Whether what is left of the path carries the families that are to go through.
fn path_mtu(spec: &TunnelSpec, found: &mut Found) {
    let Some(path_mtu) = spec.path_mtu else { return };
    // Of the families and suites that may be negotiated the one that takes most.
    let family = match spec.remote.or(spec.local) {
        Some(IpAddr::V4(_)) => OuterFamily::V4,
        _ => OuterFamily::V6,
    };
    let envelope = match spec.tunnel_type {
        TunnelType::Wireguard => Envelope::Wireguard,
        TunnelType::Ikev2 => Envelope::Esp { suite: super::Suite::default(), in_udp: true },
        TunnelType::SharedKey => Envelope::Esp { suite: super::Suite::default(), in_udp: false },
    };
    let room = envelope.room(family, path_mtu);
    let peers = spec.wireguard.iter().flat_map(|device| &device.peers);
    let mut networks = spec.networks.iter().chain(peers.flat_map(|peer| &peer.allowed));
    let wants_ipv6 = networks.any(|network| !network.is_ipv4());
    let left = room.map_or(0, |room| room.mtu);
    let path = FieldPath::spec("pathMtu");
    if room.is_none_or(|room| !room.carries_ipv4()) {
        let message = format!("{left} bytes are left for inner packets, and IPv4 needs 576");
        add(found, path, message, "write the longest packet that the path carries, in bytes");
    } else if wants_ipv6 && room.is_none_or(|room| !room.carries_ipv6()) {
        let message = format!("{left} bytes are left for inner packets, and IPv6 needs 1280");
        add(found, path, message, "take the IPv6 networks out, or a path that carries more");
    }
}
