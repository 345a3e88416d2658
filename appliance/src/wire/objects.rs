//! Configuration objects as the API answers them: with status and origin.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::objects::Source;
use sluice_model::status::{GatewayStatus, PrefilterStatus, ServiceStatus};
use sluice_model::{API_VERSION, GatewaySpec, Metadata, PrefilterSpec, ServiceSpec};

/// Who said that the object shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// A file, or the API.
    #[serde(flatten)]
    pub source: Source,
    /// The line in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

macro_rules! objects {
    ($($object:ident $list:ident $stated:ident $spec:ident $status:ident, $doc:literal;)+) => {
        $(
            #[doc = $doc]
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "camelCase")]
            pub struct $object {
                /// The version of this form.
                #[serde(default = "api_version")]
                pub api_version: String,
                /// What the object is.
                pub kind: String,
                /// Name, labels, version.
                pub metadata: Metadata,
                /// What is wanted.
                pub spec: $spec,
                /// What is. Ignored in requests.
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub status: Option<$stated>,
            }

            impl $object {
                /// An object with its status.
                pub fn new(object: &sluice_model::$object, origin: Origin, status: $status) -> Self {
                    Self {
                        api_version: api_version(),
                        kind: stringify!($object).to_owned(),
                        metadata: object.metadata.clone(),
                        spec: object.spec.clone(),
                        status: Some($stated { origin, status }),
                    }
                }
            }

            /// Status and origin of an object.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "camelCase")]
            pub struct $stated {
                /// Who said that the object shall be.
                pub origin: Origin,
                /// What became of it.
                #[serde(flatten)]
                pub status: $status,
            }

            /// All objects of a kind.
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
            #[serde(rename_all = "camelCase")]
            pub struct $list {
                /// The revision of the configuration.
                pub revision: u64,
                /// The objects, in the order of their names.
                pub items: Vec<$object>,
            }
        )+
    };
}

objects! {
    Gateway GatewayList StatedGateway GatewaySpec GatewayStatus, "The gateway itself: links, pools, capacities.";
    Service ServiceList StatedService ServiceSpec ServiceStatus, "A virtual address and its backends.";
    Prefilter PrefilterList StatedPrefilter PrefilterSpec PrefilterStatus, "Source prefixes to drop or to let through.";
}
