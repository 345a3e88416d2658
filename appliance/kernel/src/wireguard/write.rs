use super::{
    AllowedNetwork, Change, GET_DEVICE, NESTED, PeerChange, PeerSetting, SET_DEVICE, VERSION,
    allowed, device, peer,
};
use crate::xfrm::{Family, Writer};
use std::net::{IpAddr, SocketAddr};
use zeroize::Zeroizing;

/// A list of attributes has a length of 16 bits: what does not fit goes into another request. This many networks of a peer
/// (of at most 32 bytes) stand in one.
const NETWORKS: usize = 1000;
/// This many bytes of peers at most, before the last is added.
const BYTES: usize = 16_384;

fn header(command: u8, name: &str) -> Writer {
    let mut writer = Writer::new();
    writer.bytes(&[command, VERSION, 0, 0]);
    writer.attribute(device::IFNAME, |writer| {
        writer.bytes(name.as_bytes());
        writer.u8(0);
    });
    writer
}

/// The question for a device.
pub(crate) fn question(name: &str) -> Zeroizing<Vec<u8>> {
    header(GET_DEVICE, name).finish()
}

/// A change as one or more requests, to be sent in their order.
pub(crate) fn requests(name: &str, change: &Change) -> Vec<Zeroizing<Vec<u8>>> {
    let mut first = header(SET_DEVICE, name);
    if let Some(key) = &change.private_key {
        first.attribute(device::PRIVATE_KEY, |writer| writer.bytes(key.expose()));
    }
    if let Some(port) = change.listen_port {
        first.attribute(device::LISTEN_PORT, |writer| writer.u16(port));
    }
    first.attribute_u32(device::FWMARK, change.mark);
    let parts: Vec<Part<'_>> = change.peers.iter().flat_map(Part::of).collect();
    let mut parts = parts.as_slice();
    let mut written = Vec::new();
    let mut request = first;
    loop {
        let taken = fitting(parts);
        let (now, later) = parts.split_at_checked(taken).unwrap_or((parts, &[]));
        if !now.is_empty() {
            request.attribute(device::PEERS | NESTED, |writer| {
                for part in now {
                    writer.attribute(NESTED, |writer| part.write(writer));
                }
            });
        }
        written.push(request.finish());
        if later.is_empty() {
            return written;
        }
        parts = later;
        request = header(SET_DEVICE, name);
    }
}

/// How many parts go into one request.
fn fitting(parts: &[Part<'_>]) -> usize {
    let mut bytes = 0;
    let fits = parts.iter().take_while(|part| {
        let before = bytes;
        bytes += part.size();
        before < BYTES
    });
    fits.count()
}

/// A peer, or some more networks of one.
enum Part<'a> {
    Remove(&'a [u8; 32]),
    First(&'a PeerSetting, &'a [AllowedNetwork]),
    More(&'a [u8; 32], &'a [AllowedNetwork]),
}

impl<'a> Part<'a> {
    fn of(change: &'a PeerChange) -> Vec<Self> {
        let setting = match change {
            PeerChange::Remove(key) => return vec![Self::Remove(&key.0)],
            PeerChange::Set(setting) => setting,
        };
        let mut chunks = setting.allowed.chunks(NETWORKS);
        let first = Self::First(setting, chunks.next().unwrap_or_default());
        let more = chunks.map(|chunk| Self::More(&setting.public_key.0, chunk));
        std::iter::once(first).chain(more).collect()
    }

    /// At most this many bytes.
    fn size(&self) -> usize {
        match self {
            Self::Remove(_) => 64,
            Self::First(_, networks) => 160 + networks.len() * 40,
            Self::More(_, networks) => 64 + networks.len() * 40,
        }
    }

    fn write(&self, writer: &mut Writer) {
        let (key, flags) = match self {
            Self::Remove(key) => (*key, peer::F_REMOVE_ME | peer::F_UPDATE_ONLY),
            Self::First(setting, _) => (&setting.public_key.0, peer::F_REPLACE_ALLOWED),
            Self::More(key, _) => (*key, peer::F_UPDATE_ONLY),
        };
        writer.attribute(peer::PUBLIC_KEY, |writer| writer.bytes(key));
        writer.attribute_u32(peer::FLAGS, Some(flags));
        if let Self::First(setting, _) = self {
            if let Some(key) = &setting.preshared_key {
                writer.attribute(peer::PRESHARED_KEY, |writer| writer.bytes(key.expose()));
            }
            if let Some(endpoint) = setting.endpoint {
                writer.attribute(peer::ENDPOINT, |writer| write_endpoint(writer, endpoint));
            }
            if let Some(seconds) = setting.keepalive_seconds {
                writer.attribute(peer::KEEPALIVE, |writer| writer.u16(seconds));
            }
        }
        if let Self::First(_, networks) | Self::More(_, networks) = self {
            writer.attribute(peer::ALLOWED | NESTED, |writer| {
                for network in *networks {
                    writer.attribute(NESTED, |writer| write_network(writer, *network));
                }
            });
        }
    }
}

fn write_network(writer: &mut Writer, network: AllowedNetwork) {
    let family = Family::of(network.address) as u16;
    writer.attribute(allowed::FAMILY, |writer| writer.u16(family));
    writer.attribute(allowed::ADDRESS, |writer| match network.address {
        IpAddr::V4(address) => writer.bytes(&address.octets()),
        IpAddr::V6(address) => writer.bytes(&address.octets()),
    });
    writer.attribute(allowed::BITS, |writer| writer.u8(network.bits));
}

/// `struct sockaddr_in` and `struct sockaddr_in6`.
fn write_endpoint(writer: &mut Writer, endpoint: SocketAddr) {
    writer.u16(Family::of(endpoint.ip()) as u16);
    writer.be16(endpoint.port());
    match endpoint {
        SocketAddr::V4(endpoint) => {
            writer.bytes(&endpoint.ip().octets());
            writer.bytes(&[0; 8]);
        }
        SocketAddr::V6(endpoint) => {
            writer.be32(endpoint.flowinfo());
            writer.bytes(&endpoint.ip().octets());
            writer.u32(endpoint.scope_id());
        }
    }
}
