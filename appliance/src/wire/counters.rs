//! What was counted.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::status::PrefilterAction;
use sluice_model::{Name, Port, Prefix};

/// Everything that is counted, at one moment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// When it was read.
    pub time: Timestamp,
    /// What became of all packets.
    pub traffic: Traffic,
    /// The same by reason; reasons that did not occur are left out.
    pub reasons: Vec<ReasonCount>,
    /// By the place that finished the packets, or left them to the next: cards first, then the host.
    #[serde(default)]
    pub placements: Vec<PlacementTraffic>,
    /// By service.
    pub services: Vec<ServiceCounters>,
    /// The prefixes that hit most, most first.
    pub top_prefixes: Vec<TopPrefixCount>,
}

/// What became of all packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Traffic {
    /// Packets that the datapath sent on.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets that went on to the host's network stack.
    pub passed_packets: u64,
    /// Their bytes.
    pub passed_bytes: u64,
    /// Packets that were dropped.
    pub dropped_packets: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
}

/// What became of packets in one place. Those of all places together are those of [`Traffic`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PlacementTraffic {
    /// The link of the card; absent for the host, whose counters are those of all links.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// The place: `nic-xdp`, `nic-tc` or `host`.
    pub placement: String,
    /// Packets sent on from there.
    pub sent_packets: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Packets dropped there.
    pub dropped_packets: u64,
    /// Their bytes.
    pub dropped_bytes: u64,
    /// Packets left to the next place.
    pub passed_packets: u64,
    /// The same by why, where that is known; zeros are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub passed: BTreeMap<String, u64>,
}

/// Packets with one fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReasonCount {
    /// `sent`, `pass` or `drop`.
    pub class: String,
    /// The reason's name.
    pub reason: String,
    /// What it means.
    pub explanation: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a service did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceCounters {
    /// The service.
    pub name: Name,
    /// By backend.
    pub backends: Vec<BackendCounters>,
    /// Packets that were not simply delivered, by what happened; zeros are left out.
    pub events: BTreeMap<String, u64>,
}

/// What a backend was sent and answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BackendCounters {
    /// Its address.
    pub address: IpAddr,
    /// Its port; absent when packets keep the port the client chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Packets towards it, from the host and from cards.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that a card sent.
    #[serde(default)]
    pub card_packets: u64,
    /// Their bytes.
    #[serde(default)]
    pub card_bytes: u64,
    /// Packets from it; seen in mode `nat` only.
    pub reply_packets: u64,
    /// Their bytes.
    pub reply_bytes: u64,
}

/// A prefix and its hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TopPrefixCount {
    /// The prefix.
    pub prefix: Prefix,
    /// What it does.
    pub action: PrefilterAction,
    /// Packets it matched, at least.
    pub hits: u64,
}
