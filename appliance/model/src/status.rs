//! What the gateway says about each object. Written by the reconciler, read by the API, the command and the console.

mod condition;
mod gateway;
mod prefilter;
mod service;

pub use crate::placement::Placement;
pub use condition::{Condition, ConditionStatus};
pub use gateway::{
    ActualAttach, GatewayStatus, LeftOut, LinkStatus, NotChosen, StageStatus, TableShare,
};
pub use prefilter::{PrefilterAction, PrefilterStatus, PrefixCount, PrefixHits, TopPrefix};
pub use service::{BackendStatus, HealthState, NextHop, ServiceStatus};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of an object of any kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
pub enum Status {
    /// Of a gateway.
    Gateway(GatewayStatus),
    /// Of a service.
    Service(ServiceStatus),
    /// Of a prefilter.
    Prefilter(PrefilterStatus),
}
