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
//! crosses the bridge `card0` to the gateway's own link, with the host's program.
//!
//! The bypass takes the traffic while the card is away. Both ways are up and each end takes what comes by either of them;
//! which one a packet goes is one entry of a table at each end, and an entry is exchanged at once. So changing over loses
//! nothing, and what is lost when the card is torn out is what was on its way through it until then.
//!
//! All on one switch, because a card sends packets back by the link they came in by and by no other.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

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
/// What the switch sends to the gateway: a local address, so that the switch can be told before anything was sent.
const GATEWAY_ADDRESS: &str = "02:53:4c:00:00:01";
/// The kernel tells a bridge that a port has a carrier up to a second late, later on a busy machine.
const FORWARDING_PATIENCE: Duration = Duration::from_secs(10);
/// Longer than a packet is in the card.
const DRAINED: Duration = Duration::from_millis(200);

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
        gateway.ip(&format!("link set dev {gateway_link} address {GATEWAY_ADDRESS}\n"))?;
        gateway.offloads(gateway_link, &FAR_END_OFFLOADS)?;
        join(gateway, CARD, INNER)?;
        gateway.tc(&format!("qdisc add dev {INNER} clsact\n"))?;
        gateway.connect(BYPASS, &switch, BYPASS_PORT, MTU_BYTES)?;
        join_way(gateway, CARD, BYPASS)?;
        join_way(&switch, SWITCH, BYPASS_PORT)?;
        let inner = Attached::attach(object, PASS, gateway, INNER)?;
        up(gateway, INNER)?;
        up(gateway, BYPASS)?;
        up(&switch, BYPASS_PORT)?;
        gateway.tc(&redirect("add", Way::Bypass))?;
        let mut card =
            EmulatedCard { object: object.to_owned(), card_port: None, _inner: inner, switch };
        card.put_back(gateway)?;
        Ok(card)
    }

    /// Takes the card away after the traffic was led past it, with everything that is on it.
    pub(crate) fn take_out(&mut self, gateway: &Namespace) -> Result<()> {
        self.lead_past(gateway)?;
        sleep(DRAINED);
        self.delete(gateway)
    }

    /// Takes the card away under the traffic, which finds its way past it only then.
    pub(crate) fn tear_out(&mut self, gateway: &Namespace) -> Result<()> {
        self.delete(gateway)?;
        self.lead_past(gateway)
    }

    /// Brings a new card, with nothing on it.
    pub(crate) fn put_back(&mut self, gateway: &Namespace) -> Result<()> {
        gateway.connect(CARD_LINK, &self.switch, CARD_PORT, MTU_BYTES)?;
        join_way(gateway, CARD, CARD_LINK)?;
        // While the kernel adds this, it drops what the link sends; a card that has filters already has it.
        gateway.tc(&format!("qdisc add dev {CARD_LINK} clsact\n"))?;
        join_way(&self.switch, SWITCH, CARD_PORT)?;
        self.card_port = Some(Attached::attach(&self.object, PASS, &self.switch, CARD_PORT)?);
        up(&self.switch, CARD_PORT)?;
        up(gateway, CARD_LINK)?;
        wait_until_forwarding(&self.switch, CARD_PORT)?;
        wait_until_forwarding(gateway, CARD_LINK)?;
        gateway.tc(&redirect("add", Way::Card))?;
        self.send_to_gateway_by(CARD_PORT)
    }

    fn delete(&mut self, gateway: &Namespace) -> Result<()> {
        self.card_port = None;
        gateway.ip(&format!("link delete {CARD_LINK}\n"))
    }

    fn lead_past(&self, gateway: &Namespace) -> Result<()> {
        self.send_to_gateway_by(BYPASS_PORT)?;
        gateway.tc(&redirect("delete", Way::Card))
    }

    fn send_to_gateway_by(&self, port: &str) -> Result<()> {
        self.switch.bridge(&format!("fdb replace {GATEWAY_ADDRESS} dev {port} master static\n"))
    }
}

/// How packets of the gateway leave.
#[derive(Clone, Copy)]
enum Way {
    /// First, while it is there.
    Card,
    Bypass,
}

/// A filter that sends everything that comes from the gateway one way.
fn redirect(verb: &str, way: Way) -> String {
    let (priority, link) = match way {
        Way::Card => (1, CARD_LINK),
        Way::Bypass => (2, BYPASS),
    };
    let filter = format!("filter {verb} dev {INNER} ingress protocol all prio {priority} u32");
    match verb {
        "delete" => filter + "\n",
        _ => format!("{filter} match u32 0 0 action mirred egress redirect dev {link}\n"),
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

/// Makes a link a port that is one of two ways to the same place: nothing comes in by one and goes out by the other, and
/// the bridge does not learn by which of them a packet came.
fn join_way(namespace: &Namespace, bridge: &str, link: &str) -> Result<()> {
    join(namespace, bridge, link)?;
    namespace.ip(&format!("link set dev {link} type bridge_slave isolated on learning off\n"))
}

fn up(namespace: &Namespace, link: &str) -> Result<()> {
    namespace.ip(&format!("link set dev {link} up\n"))
}

fn wait_until_forwarding(namespace: &Namespace, port: &str) -> Result<()> {
    let started = Instant::now();
    loop {
        let shown = namespace.ip_output(&["-d", "link", "show", "dev", port])?;
        if shown.contains("state forwarding") {
            return Ok(());
        }
        if started.elapsed() > FORWARDING_PATIENCE {
            bail!(
                "port {port} does not forward after {} s: {shown}",
                FORWARDING_PATIENCE.as_secs()
            );
        }
        sleep(Duration::from_millis(20));
    }
}
