//! Where a stage runs, and what the operator wants of that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// All of them, those that take most work off the host first.
    pub const ALL: [Self; 8] = [
        Self::NicXdp,
        Self::NicTc,
        Self::NicFlow,
        Self::NicCrypto,
        Self::HostXdp,
        Self::HostXdpGeneric,
        Self::HostTc,
        Self::HostStack,
    ];

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

    /// Whether it is on the card, so that the host's program stands behind it.
    #[must_use]
    pub const fn is_on_card(self) -> bool {
        matches!(self, Self::NicXdp | Self::NicTc | Self::NicFlow | Self::NicCrypto)
    }
}

impl std::fmt::Display for Placement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A stage whose placement the operator may choose. Each runs in the host's program in any case; a card may take work
/// from it before.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Denied and allowed source prefixes.
    Prefilter,
    /// Services and their backends.
    Service,
    /// Address translation.
    Nat,
}

impl Stage {
    /// All of them, in the order of the packet's way.
    pub const ALL: [Self; 3] = [Self::Prefilter, Self::Service, Self::Nat];

    /// The word in the configuration, the API and the metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefilter => "prefilter",
            Self::Service => "service",
            Self::Nat => "nat",
        }
    }

    /// The places that it can run in.
    #[must_use]
    pub const fn placements(self) -> &'static [Placement] {
        &[Placement::NicXdp, Placement::NicTc, Placement::HostXdp, Placement::HostXdpGeneric]
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl std::str::FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|stage| stage.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no stage: expected prefilter, service or nat"))
    }
}

/// Whether a link's card may take work from the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Offload {
    /// Stages run on the card where it can and where that pays.
    #[default]
    Auto,
    /// Nothing is put on the card.
    Off,
}

/// What the operator wants of one placement of one stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pin {
    /// The stage.
    pub stage: Stage,
    /// The placement.
    pub placement: Placement,
    /// How much it is wanted.
    #[serde(default)]
    pub policy: Policy,
}

/// How much a placement is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Policy {
    /// Wherever it is possible, whatever it is worth.
    #[default]
    Prefer,
    /// A change of the configuration is refused where it is not possible.
    Require,
    /// Never.
    Forbid,
}

impl Policy {
    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::Forbid => "forbid",
        }
    }
}
