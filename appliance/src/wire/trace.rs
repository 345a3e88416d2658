//! What would happen to a packet.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::status::{NextHop, PrefilterAction};
use sluice_model::{LinkName, Name, Port, Prefix};

/// A packet to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TraceRequest {
    /// The link it comes in by. Default: the gateway's first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkName>,
    /// Its protocol.
    pub protocol: TraceProtocol,
    /// Source address and port: `198.51.100.7:1234`, `[2001:db8::7]:1234`.
    #[schemars(with = "String")]
    pub source: SocketAddr,
    /// Destination address and port.
    #[schemars(with = "String")]
    pub destination: SocketAddr,
    /// TCP flags. Default: none but `ack`.
    #[serde(default)]
    pub flags: Vec<TcpFlag>,
    /// Bytes behind the TCP or UDP header.
    #[serde(default)]
    pub payload_bytes: u16,
    /// VLAN id of the frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4094))]
    pub vlan: Option<u16>,
    /// Time to live, or hop limit. Default: 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<u8>,
}

/// Protocols of packets to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl FromStr for TraceProtocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            _ => Err(format!("`{text}` is not a protocol: expected tcp or udp")),
        }
    }
}

/// A TCP flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TcpFlag {
    /// No more data from the sender.
    Fin,
    /// Opens a connection.
    Syn,
    /// Ends a connection at once.
    Rst,
    /// Push.
    Psh,
    /// The acknowledgement number counts.
    Ack,
    /// Urgent.
    Urg,
}

impl TcpFlag {
    /// All flags.
    pub const ALL: [Self; 6] = [Self::Fin, Self::Syn, Self::Rst, Self::Psh, Self::Ack, Self::Urg];

    /// The bit in the header (RFC 9293, section 3.1).
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The word in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fin => "fin",
            Self::Syn => "syn",
            Self::Rst => "rst",
            Self::Psh => "psh",
            Self::Ack => "ack",
            Self::Urg => "urg",
        }
    }
}

impl FromStr for TcpFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|flag| flag.as_str() == text.to_ascii_lowercase()).ok_or_else(
            || {
                let all = Self::ALL.map(Self::as_str).join(", ");
                format!("`{text}` is not a TCP flag: expected one of {all}")
            },
        )
    }
}

/// What would happen to the packet now. Nothing was sent, and nothing was remembered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceAnswer {
    /// What would become of it.
    pub verdict: TraceClass,
    /// The reason's name.
    pub reason: String,
    /// What it means.
    pub explanation: String,
    /// The service that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<Name>,
    /// The backend that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<TraceBackend>,
    /// The prefix that its source matches longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<TracePrefix>,
    /// Where it would leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_hop: Option<NextHop>,
    /// The packet as it comes in, header by header.
    pub before: Vec<String>,
    /// The packet as it would leave; empty unless it is sent.
    #[serde(default)]
    pub after: Vec<String>,
    /// What else decided, in sentences.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TraceClass {
    /// Sent on by the datapath.
    Sent,
    /// Left to the host's network stack.
    Pass,
    /// Dropped.
    Drop,
}

impl fmt::Display for TraceClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sent => "sent",
            Self::Pass => "pass",
            Self::Drop => "drop",
        })
    }
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TraceBackend {
    /// Its address.
    pub address: IpAddr,
    /// Its port; absent when packets keep the port the client chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

/// A prefix of a prefilter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TracePrefix {
    /// The prefix.
    pub prefix: Prefix,
    /// What it does.
    pub action: PrefilterAction,
    /// The prefilter that has it.
    pub prefilter: Name,
}
