//! Tunnels: what is encrypted, between whom and how.
//!
//! Nothing acts on these objects yet, so `Tunnel` is no [`Kind`](crate::Kind): a configuration that has one is refused. What is here
//! is what the gateway is built on: the fields and what is wrong with them, the keys of tunnels that share a secret, and how long
//! an inner packet may be.

mod check;
pub mod keys;
pub mod overhead;
mod secret;
mod wireguard_key;

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use secret::Secret;
pub use wireguard_key::WireguardKey;

use crate::values::{Port, Prefix, TimeSpan, address};

/// What is wanted of a tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TunnelSpec {
    /// How it is encrypted, and how the two ends agree on keys.
    #[serde(rename = "type")]
    pub tunnel_type: TunnelType,
    /// The outer address of this gateway. Without one the kernel chooses, which shared keys cannot do with.
    #[serde(default, with = "address::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<IpAddr>")]
    pub local: Option<IpAddr>,
    /// The outer address of the other end. Without one the other end begins.
    #[serde(default, with = "address::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<IpAddr>")]
    pub remote: Option<IpAddr>,
    /// What is behind the other end.
    #[serde(default)]
    pub networks: Vec<Prefix>,
    /// Packets to and from these networks travel encrypted or not at all.
    #[serde(default)]
    pub strict: bool,
    /// Longest outer packet that the path carries; without it that of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_mtu: Option<u16>,
    /// For the type `ikev2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ikev2: Option<Ikev2>,
    /// For the type `sharedKey`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_key: Option<SharedKey>,
    /// For the type `wireguard`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wireguard: Option<Wireguard>,
}

/// How a tunnel is encrypted, and how the two ends agree on keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum TunnelType {
    /// IPsec, whose keys are negotiated (RFC 7296).
    Ikev2,
    /// IPsec, whose keys are derived from a secret that both ends have.
    SharedKey,
    /// WireGuard.
    Wireguard,
}

impl TunnelType {
    /// The word in `type`, which is also the field with what the type needs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ikev2 => "ikev2",
            Self::SharedKey => "sharedKey",
            Self::Wireguard => "wireguard",
        }
    }
}

/// What encrypts and authenticates the packets of IPsec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Suite {
    /// AES-GCM with a key of 128 bits (RFC 4106).
    #[serde(rename = "aes128gcm")]
    Aes128Gcm,
    /// AES-GCM with a key of 256 bits (RFC 4106).
    #[default]
    #[serde(rename = "aes256gcm")]
    Aes256Gcm,
    /// ChaCha20-Poly1305 (RFC 7634).
    #[serde(rename = "chacha20poly1305")]
    ChaCha20Poly1305,
}

impl Suite {
    /// All suites.
    pub const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// Length of key and salt together, as the kernel wants them.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128Gcm => 16 + 4,
            Self::Aes256Gcm | Self::ChaCha20Poly1305 => 32 + 4,
        }
    }
}

/// IPsec with negotiated keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ikev2 {
    /// Who this gateway says it is; without it its outer address, or the name in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_identity: Option<String>,
    /// Who the other end must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_identity: Option<String>,
    /// The secret that both ends have. Write-only: it is in no answer.
    #[serde(default, skip_serializing)]
    pub pre_shared_key: Option<Secret>,
    /// The file with this gateway's certificate, instead of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_file: Option<String>,
    /// The file with the certificate of who signs the other end's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority_file: Option<String>,
    /// What is offered, the best first; without it all of them.
    #[serde(default)]
    pub suites: Vec<Suite>,
    /// Who begins.
    #[serde(default)]
    pub role: Role,
}

/// Who begins to negotiate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Role {
    /// Whoever has something to send.
    #[default]
    Both,
    /// This gateway.
    Initiator,
    /// The other end.
    Responder,
}

/// IPsec with keys that are derived from a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SharedKey {
    /// The secret of the group. Write-only: it is in no answer.
    #[serde(default, skip_serializing)]
    pub secret: Option<Secret>,
    /// What encrypts.
    #[serde(default)]
    pub suite: Suite,
    /// How long a key is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after: Option<TimeSpan>,
}

/// WireGuard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Wireguard {
    /// The private key; without it the gateway makes one. Write-only: it is in no answer.
    #[serde(default, skip_serializing)]
    pub private_key: Option<Secret>,
    /// The UDP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen_port: Option<Port>,
    /// Who may speak.
    #[serde(default)]
    pub peers: Vec<WireguardPeer>,
}

/// Who may speak, and with which addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WireguardPeer {
    /// The peer's public key.
    pub public_key: WireguardKey,
    /// A secret besides. Write-only: it is in no answer.
    #[serde(default, skip_serializing)]
    pub pre_shared_key: Option<Secret>,
    /// Where the peer is; without it the peer begins.
    #[serde(default, with = "address::optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<IpAddr>")]
    pub address: Option<IpAddr>,
    /// The peer's UDP port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// The peer's networks.
    #[serde(default)]
    pub allowed: Vec<Prefix>,
    /// How often something is sent to keep the way through NAT open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<TimeSpan>,
}
