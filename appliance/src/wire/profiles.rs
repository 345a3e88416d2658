//! What cards can do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_profile::Profile;

/// What the gateway's links and their cards can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Capabilities {
    /// The links, by name.
    pub links: Vec<LinkCapabilities>,
}

/// What one link and its card can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkCapabilities {
    /// The link.
    pub link: String,
    /// What a probe found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Why there is no profile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unprobed: Option<String>,
}

/// A profile that comes with Sluice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShippedProfile {
    /// What such a card can do.
    pub profile: Profile,
}

/// The profiles that come with Sluice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProfileNames {
    /// Their names.
    pub names: Vec<String>,
}
