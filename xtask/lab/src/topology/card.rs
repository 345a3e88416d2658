//! A card that the kernel emulates, in front of the gateway's only link, and the switch that everybody is on:
//!
//! ```text
//!  client eth0 ==veth== client |         |
//!      b1 eth0 ==veth== b1     | switch  | gateway ==veth== outer0 |        |
//!      ...                     | (wire)  |  bypass ==veth== bypass0| card0  | inner0 ==veth== eth0
//!      b4 eth0 ==veth== b4     |         |                         |(gateway's namespace)
//! ```
//!
//! The programs for the card run as native XDP on `outer0`, which sees every packet for the gateway; what they pass
//! crosses the bridge `card0` to the gateway's own link, with the host's program. `bypass` is down and takes the traffic
//! while the card is away, so that what is lost is what was on its way through the card.
//!
//! All on one switch, because a card sends packets back by the link they came in by and by no other.

use anyhow::Result;

use super::programs::{Attached, PASS};
use super::{FAR_END_OFFLOADS, Namespace};
use crate::plan::{CARD_LINK, MTU_BYTES, WIRE_NAMESPACE};

const SWITCH: &str = "switch";
/// The switch's port of the card.
const CARD_PORT: &str = "gateway";
const CARD: &str = "card0";
const INNER: &str = "inner0";
const BYPASS: &str = "bypass0";
const BYPASS_PORT: &str = "bypass";

/// Switch and card, removed when dropped.
pub(crate) struct EmulatedCard {
    object: Vec<u8>,
    // Programs go before their links.
    card_port: Option<Attached>,
    _inner: Attached,
    switch: Namespace,
}

impl EmulatedCard {
    /// Makes the gateway's link `gateway_link` with a card in front, and a switch with a port for each far end.
    pub(super) fn build(
        gateway: &Namespace,
        gateway_link: &str,
        far_ends: &[(&Namespace, &str, &str)],
        object: &[u8],
    ) -> Result<Self> {
        let switch = Namespace::create(WIRE_NAMESPACE)?;
        bridge(&switch, SWITCH)?;
        for (far, far_link, port) in far_ends {
            switch.connect(port, far, far_link, MTU_BYTES)?;
            join(&switch, SWITCH, port)?;
            up(&switch, port)?;
        }
        bridge(gateway, CARD)?;
        gateway.connect(INNER, gateway, gateway_link, MTU_BYTES)?;
        gateway.offloads(gateway_link, &FAR_END_OFFLOADS)?;
        join(gateway, CARD, INNER)?;
        up(gateway, INNER)?;
        gateway.connect(BYPASS, &switch, BYPASS_PORT, MTU_BYTES)?;
        join(gateway, CARD, BYPASS)?;
        join(&switch, SWITCH, BYPASS_PORT)?;
        up(gateway, BYPASS)?;
        let inner = Attached::attach(object, PASS, gateway, INNER)?;
        let mut card =
            EmulatedCard { object: object.to_owned(), card_port: None, _inner: inner, switch };
        card.insert(gateway)?;
        Ok(card)
    }

    /// Takes the card away, with everything that is on it; from then on the traffic goes past it.
    pub(crate) fn remove(&mut self, gateway: &Namespace) -> Result<()> {
        self.card_port = None;
        gateway.ip(&format!("link delete {CARD_LINK}"))?;
        up(&self.switch, BYPASS_PORT)
    }

    /// Brings a new card, with nothing on it.
    pub(crate) fn put_back(&mut self, gateway: &Namespace) -> Result<()> {
        self.switch.ip(&format!("link set dev {BYPASS_PORT} down"))?;
        self.insert(gateway)
    }

    fn insert(&mut self, gateway: &Namespace) -> Result<()> {
        gateway.connect(CARD_LINK, &self.switch, CARD_PORT, MTU_BYTES)?;
        join(gateway, CARD, CARD_LINK)?;
        join(&self.switch, SWITCH, CARD_PORT)?;
        self.card_port = Some(Attached::attach(&self.object, PASS, &self.switch, CARD_PORT)?);
        up(&self.switch, CARD_PORT)?;
        up(gateway, CARD_LINK)
    }
}

/// A bridge that only forwards: it has no addresses and answers nobody.
fn bridge(namespace: &Namespace, name: &str) -> Result<()> {
    namespace.ip(&format!(
        "link add name {name} type bridge stp_state 0 mcast_snooping 0\n\
         link set dev {name} arp off addrgenmode none\n\
         link set dev {name} up\n"
    ))
}

/// Makes a link a port of a bridge. It stays down.
fn join(namespace: &Namespace, bridge: &str, link: &str) -> Result<()> {
    namespace.offloads(link, &FAR_END_OFFLOADS)?;
    namespace.ip(&format!("link set dev {link} master {bridge} addrgenmode none\n"))
}

fn up(namespace: &Namespace, link: &str) -> Result<()> {
    namespace.ip(&format!("link set dev {link} up\n"))
}
