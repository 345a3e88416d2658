//! A simulated NIC at the gateway and what connects it to the client:
//!
//! ```text
//! client eth0 ==veth== far [wire] near ==cable== ethN [gateway]
//! ```
//!
//! The client keeps its veth, because a simulated NIC hands over frames whose checksum was never computed and cannot be
//! told not to; and a cable joins simulated NICs only. In between, tc passes every frame on.

use anyhow::{Context, Result};
use sluice_netdevsim::{Device, Link};

use super::Namespace;
use crate::plan::{MTU_BYTES, WIRE_NAMESPACE};

const NEAR: &str = "near";
const FAR: &str = "far";

/// Everything between client and gateway, removed when dropped.
pub(super) struct Wire {
    // The cable goes before the devices, and both before the namespace.
    _cable: Link,
    _gateway_nic: Device,
    _wire_nic: Device,
    _namespace: Namespace,
}

impl Wire {
    /// Makes the link `gateway_link` of the gateway and `far_link` of the far end.
    pub(super) fn lay(
        gateway: &Namespace,
        gateway_link: &str,
        far: &Namespace,
        far_link: &str,
    ) -> Result<Self> {
        sluice_netdevsim::available().context(
            "simulated NICs are for the virtual machine: `cargo xtask lab --nic netdevsim`",
        )?;
        let namespace = Namespace::create(WIRE_NAMESPACE)?;
        namespace.connect(FAR, far, far_link, MTU_BYTES)?;
        let (wire_nic, wire_ifindex) = nic(&namespace, NEAR)?;
        let (gateway_nic, gateway_ifindex) = nic(gateway, gateway_link)?;
        let cable =
            Link::plug_between(namespace.file(), wire_ifindex, gateway.file(), gateway_ifindex)?;
        // Filters of the gateway's may go onto the card.
        gateway.offloads(gateway_link, &["hw-tc-offload", "on"])?;
        for (link, other) in [(NEAR, FAR), (FAR, NEAR)] {
            namespace.ip(&format!("link set dev {link} up\n"))?;
            namespace.tc(&format!(
                "qdisc add dev {link} clsact\n\
                 filter add dev {link} ingress matchall action mirred egress redirect dev {other}\n"
            ))?;
        }
        Ok(Wire {
            _cable: cable,
            _gateway_nic: gateway_nic,
            _wire_nic: wire_nic,
            _namespace: namespace,
        })
    }
}

/// A simulated NIC with one link in a namespace, and the index of the link.
fn nic(namespace: &Namespace, link: &str) -> Result<(Device, u32)> {
    namespace.enter(|| {
        let device = Device::create()?;
        let ifindex = device.port(0).rename(link)?.ifindex;
        Ok((device, ifindex))
    })
}
