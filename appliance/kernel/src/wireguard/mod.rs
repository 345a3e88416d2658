//! WireGuard devices as the kernel's generic netlink family `wireguard` has them (`include/uapi/linux/wireguard.h`). Nothing in here
//! calls the kernel.

mod read;
#[cfg(test)]
mod tests;
mod write;

use crate::xfrm::Key;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(crate) use read::read;
pub(crate) use write::{question, requests};

/// Length of every key.
pub const KEY_BYTES: usize = 32;

/// What everybody may know of a peer, and what names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublicKey(pub [u8; KEY_BYTES]);

/// A private or a pre-shared key; it cannot be printed and is wiped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey(Key);

impl SecretKey {
    /// A copy of these bytes; none if they are not 32.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == KEY_BYTES).then(|| Key::new(bytes).ok().map(Self)).flatten()
    }

    /// The bytes, for the kernel and for nobody else.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }
}

/// A network: which packets a peer may send, and which are sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AllowedNetwork {
    /// Its address.
    pub address: IpAddr,
    /// Length of the prefix.
    pub bits: u8,
}

/// A device as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Index of the link.
    pub ifindex: u32,
    /// What peers know the device by; none if it has no private key.
    pub public_key: Option<PublicKey>,
    /// The UDP port.
    pub listen_port: u16,
    /// What its own packets are marked with; 0 is nothing.
    pub mark: u32,
    /// The peers.
    pub peers: Vec<Peer>,
}

/// A peer as it is. The pre-shared key is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name.
    pub public_key: PublicKey,
    /// Whether there is a pre-shared key.
    pub has_preshared_key: bool,
    /// Where it was heard of last, or was said to be.
    pub endpoint: Option<SocketAddr>,
    /// How often something is sent to keep the way open; 0 is never.
    pub keepalive_seconds: u16,
    /// When the last handshake was, since 1970; none if there was none.
    pub last_handshake: Option<Duration>,
    /// Bytes that came from it.
    pub received_bytes: u64,
    /// Bytes that went to it.
    pub sent_bytes: u64,
    /// Its networks.
    pub allowed: Vec<AllowedNetwork>,
}

impl Peer {
    /// A peer that nothing is known of but its name.
    pub(crate) fn new(public_key: PublicKey) -> Self {
        Self {
            public_key,
            has_preshared_key: false,
            endpoint: None,
            keepalive_seconds: 0,
            last_handshake: None,
            received_bytes: 0,
            sent_bytes: 0,
            allowed: Vec::new(),
        }
    }
}

/// What is to be different. What is `None` or not named stays: a peer that is added or removed costs the others no packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The private key.
    pub private_key: Option<SecretKey>,
    /// The UDP port.
    pub listen_port: Option<u16>,
    /// What its own packets are marked with; 0 is nothing.
    pub mark: Option<u32>,
    /// Peers, one after the other.
    pub peers: Vec<PeerChange>,
}

/// What becomes of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerChange {
    /// It is there and has these values; it is added if it was not there.
    Set(PeerSetting),
    /// It goes.
    Remove(PublicKey),
}

/// The values of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSetting {
    /// Its name.
    pub public_key: PublicKey,
    /// The pre-shared key: a new one, or all zeros for none.
    pub preshared_key: Option<SecretKey>,
    /// Where it is, if that is to change: a peer that roams is where it was heard of last.
    pub endpoint: Option<SocketAddr>,
    /// How often something is sent to keep the way open; 0 is never.
    pub keepalive_seconds: Option<u16>,
    /// Its networks, in the place of those that it had.
    pub allowed: Vec<AllowedNetwork>,
}

impl PeerSetting {
    /// A peer with these networks.
    pub fn new(public_key: PublicKey, allowed: Vec<AllowedNetwork>) -> Self {
        Self { public_key, preshared_key: None, endpoint: None, keepalive_seconds: None, allowed }
    }
}

/// `WG_CMD_*`.
pub(crate) const GET_DEVICE: u8 = 0;
pub(crate) const SET_DEVICE: u8 = 1;
/// `WG_GENL_VERSION` and `WG_GENL_NAME`.
pub(crate) const VERSION: u8 = 1;
pub(crate) const FAMILY: &str = "wireguard";

/// `WGDEVICE_A_*`.
mod device {
    pub(super) const IFINDEX: u16 = 1;
    pub(super) const IFNAME: u16 = 2;
    pub(super) const PRIVATE_KEY: u16 = 3;
    pub(super) const PUBLIC_KEY: u16 = 4;
    pub(super) const LISTEN_PORT: u16 = 6;
    pub(super) const FWMARK: u16 = 7;
    pub(super) const PEERS: u16 = 8;
}

/// `WGPEER_A_*` and the flags of a peer.
mod peer {
    pub(super) const PUBLIC_KEY: u16 = 1;
    pub(super) const PRESHARED_KEY: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const ENDPOINT: u16 = 4;
    pub(super) const KEEPALIVE: u16 = 5;
    pub(super) const LAST_HANDSHAKE: u16 = 6;
    pub(super) const RX_BYTES: u16 = 7;
    pub(super) const TX_BYTES: u16 = 8;
    pub(super) const ALLOWED: u16 = 9;

    pub(super) const F_REMOVE_ME: u32 = 1;
    pub(super) const F_REPLACE_ALLOWED: u32 = 2;
    pub(super) const F_UPDATE_ONLY: u32 = 4;
}

/// `WGALLOWEDIP_A_*`.
mod allowed {
    pub(super) const FAMILY: u16 = 1;
    pub(super) const ADDRESS: u16 = 2;
    pub(super) const BITS: u16 = 3;
}

/// `NLA_F_NESTED`.
const NESTED: u16 = 1 << 15;
