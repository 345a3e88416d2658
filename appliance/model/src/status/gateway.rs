//! Status of the gateway: where each stage runs on each link.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Condition;
use crate::gateway::AttachMode;
use crate::values::LinkName;

/// `status` of a `Gateway`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewayStatus {
    /// Statements about the whole gateway.
    pub conditions: Vec<Condition>,
    /// Its links, in the order of the spec.
    pub links: Vec<LinkStatus>,
}

/// What became of one link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkStatus {
    /// The interface's name.
    pub name: LinkName,
    /// The attach mode of the spec.
    pub requested: AttachMode,
    /// What was read back from the kernel.
    pub actual: ActualAttach,
    /// Why `actual` is not better, with the kernel's words. Absent when it is what was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where each stage runs, in the order of the packet's way.
    #[serde(default)]
    pub stages: Vec<StageStatus>,
}

/// How the XDP program of a link is attached, as read back from the kernel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ActualAttach {
    /// In the driver.
    Native,
    /// In the network stack.
    Generic,
    /// Not at all.
    #[default]
    None,
}

/// Where one stage runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StageStatus {
    /// The stage: `parse`, `prefilter`, `service`.
    pub stage: String,
    /// Where it runs; absent when it runs nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<Placement>,
    /// Why there.
    pub reason: String,
}

/// Where a stage runs.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// An eBPF program on the card.
    NicXdp,
    /// A tc program on the card.
    NicTc,
    /// A flow rule on the card.
    NicFlow,
    /// The card's crypto engine.
    NicCrypto,
    /// XDP in the host's driver.
    HostXdp,
    /// XDP in the host's network stack.
    HostXdpGeneric,
    /// tc on the host.
    HostTc,
    /// The host's network stack itself.
    HostStack,
}

impl Placement {
    /// The word in the configuration, the API and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NicXdp => "nic-xdp",
            Self::NicTc => "nic-tc",
            Self::NicFlow => "nic-flow",
            Self::NicCrypto => "nic-crypto",
            Self::HostXdp => "host-xdp",
            Self::HostXdpGeneric => "host-xdp-generic",
            Self::HostTc => "host-tc",
            Self::HostStack => "host-stack",
        }
    }
}

impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}
