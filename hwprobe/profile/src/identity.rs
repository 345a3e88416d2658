//! What the link is.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Evidence;

/// A value that was read, or that could not be, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reading<T> {
    /// The value; none where the kernel has none.
    pub value: Option<T>,
    /// How it was read.
    pub evidence: Evidence,
}

/// How many there are, and how many there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Amount {
    /// In use.
    pub now: u32,
    /// At most.
    pub max: u32,
}

/// What devlink says about the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DevlinkInfo {
    /// `bus/device`, as `devlink dev` prints it.
    pub handle: String,
    /// Names and versions: `fixed board.id`, `running fw`, `stored fw`.
    #[serde(default)]
    pub versions: BTreeMap<String, String>,
    /// The serial number is left out of profiles: they are made to be passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

/// What the link is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Identity {
    /// Its name when it was probed; for a derived profile the name of the card.
    pub link: String,
    /// The driver.
    pub driver: Reading<String>,
    /// The version that the driver names.
    pub driver_version: Reading<String>,
    /// The firmware's version.
    pub firmware: Reading<String>,
    /// Where the device is plugged in, such as `0000:01:00.0`.
    pub bus: Reading<String>,
    /// Megabits per second.
    pub speed_mbit: Reading<u32>,
    /// The longest packet without the Ethernet header, bytes.
    pub mtu: Reading<u32>,
    /// Receive queues of their own.
    pub receive_queues: Reading<Amount>,
    /// Transmit queues of their own.
    pub transmit_queues: Reading<Amount>,
    /// Queues that receive and transmit.
    pub combined_queues: Reading<Amount>,
    /// Descriptors of a receive ring.
    pub receive_ring: Reading<Amount>,
    /// Descriptors of a transmit ring.
    pub transmit_ring: Reading<Amount>,
    /// The device as devlink knows it.
    pub devlink: Reading<DevlinkInfo>,
    /// The ports of the device: `index flavour [link]`.
    pub ports: Reading<Vec<String>>,
    /// Mode of the switch in the card: `legacy`, `switchdev`.
    pub eswitch_mode: Reading<String>,
}

impl<T> Reading<T> {
    /// A value that was read this way.
    pub fn new(value: Option<T>, evidence: Evidence) -> Self {
        Self { value, evidence }
    }
}
