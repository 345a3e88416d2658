//! Flower filters on trial: one field or one action more than the smallest that makes sense. What they match is from the
//! ranges for documentation, so that no packet of anybody is met.

use super::{HeldFilter, Ingress, Tried, wire::Attributes};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const TCP: u8 = 6;
const UDP: u8 = 17;
const CLS_SKIP_SW: u32 = 1 << 1;

mod attribute {
    pub(super) const ACTIONS: u16 = 3;
    pub(super) const DESTINATION_MAC: u16 = 4;
    pub(super) const SOURCE_MAC: u16 = 6;
    pub(super) const ETHER_TYPE: u16 = 8;
    pub(super) const IP_PROTOCOL: u16 = 9;
    pub(super) const SOURCE_IPV4: u16 = 10;
    pub(super) const DESTINATION_IPV4: u16 = 12;
    pub(super) const SOURCE_IPV6: u16 = 14;
    pub(super) const DESTINATION_IPV6: u16 = 16;
    pub(super) const UDP_SOURCE: u16 = 20;
    pub(super) const UDP_DESTINATION: u16 = 21;
    pub(super) const FLAGS: u16 = 22;
    pub(super) const VLAN_ID: u16 = 23;
    pub(super) const TUNNEL_KEY: u16 = 26;
    pub(super) const KEY_FLAGS: u16 = 47;
    pub(super) const TCP_FLAGS: u16 = 71;
    pub(super) const TOS: u16 = 73;
    pub(super) const TTL: u16 = 75;
    pub(super) const PORT_DESTINATION_MIN: u16 = 89;
    pub(super) const CONNTRACK_STATE: u16 = 91;
}

/// A field on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialMatch {
    /// EtherType.
    EtherType,
    /// Destination MAC.
    DestinationMac,
    /// Source MAC.
    SourceMac,
    /// VLAN id.
    VlanId,
    /// Protocol above IP.
    IpProtocol,
    /// IPv4 source.
    SourceIpv4,
    /// IPv4 destination.
    DestinationIpv4,
    /// IPv6 source.
    SourceIpv6,
    /// IPv6 destination.
    DestinationIpv6,
    /// UDP source port.
    SourcePort,
    /// UDP destination port.
    DestinationPort,
    /// A range of UDP destination ports.
    DestinationPortRange,
    /// TCP flags.
    TcpFlags,
    /// Type of service and time to live.
    IpTosTtl,
    /// Fragments.
    Fragment,
    /// Id of a tunnel.
    TunnelKey,
    /// State of a tracked connection.
    ConntrackState,
}

/// An action on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrialAction {
    /// Drop.
    Drop,
    /// Let pass.
    Pass,
    /// Trap to the host.
    Trap,
    /// Send back out of the same link.
    Redirect,
    /// Send a copy back out of the same link.
    Mirror,
    /// Set the IPv4 source address.
    Pedit,
    /// Compute checksums anew.
    Checksum,
    /// Push a VLAN tag.
    Vlan,
    /// Track.
    Conntrack,
    /// Track and translate the source.
    ConntrackNat,
    /// Take a tunnel off.
    Tunnel,
    /// Go to another chain.
    Goto,
}

/// A filter on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowerTrial {
    /// The field that it matches.
    pub field: TrialMatch,
    /// What it does.
    pub action: TrialAction,
}

impl Ingress<'_> {
    /// Adds a flower filter with skip_sw, and reads back that it is `in_hw`.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub fn flower(&self, trial: FlowerTrial) -> Tried<HeldFilter<'_>> {
        let (protocol, matches) = matches(trial.field);
        let actions = actions(trial.action, self.ifindex());
        let options = matches
            .with(attribute::ETHER_TYPE, &protocol.to_be_bytes())
            .with_nested(attribute::ACTIONS, &actions)
            .with_u32(attribute::FLAGS, CLS_SKIP_SW);
        self.add("flower", protocol, &options)
    }
}

/// The EtherType that the field needs, and the attributes.
fn matches(field: TrialMatch) -> (u16, Attributes) {
    use attribute as a;
    let empty = Attributes::default;
    // Value and mask stand one behind the other.
    let masked = |kind: u16, value: &[u8], mask: &[u8]| {
        Attributes::default().with(kind, value).with(kind + 1, mask)
    };
    let above = |protocol: u8| Attributes::default().with(a::IP_PROTOCOL, &[protocol]);
    let port = 4711u16.to_be_bytes();
    let (ipv4, ipv4_mask) = ([192, 0, 2, 0], [255, 255, 255, 0]);
    let mut ipv6 = [0u8; 16];
    ipv6[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
    let mut ipv6_mask = [0u8; 16];
    ipv6_mask[..8].fill(0xff);
    // An address for documentation too (RFC 7042).
    let mac = [0x00, 0x00, 0x5e, 0x00, 0x53, 0x01];
    match field {
        TrialMatch::EtherType => (IPV4, empty()),
        TrialMatch::DestinationMac => (IPV4, masked(a::DESTINATION_MAC, &mac, &[0xff; 6])),
        TrialMatch::SourceMac => (IPV4, masked(a::SOURCE_MAC, &mac, &[0xff; 6])),
        TrialMatch::VlanId => (VLAN, empty().with(a::VLAN_ID, &4094u16.to_ne_bytes())),
        TrialMatch::IpProtocol => (IPV4, above(UDP)),
        TrialMatch::SourceIpv4 => (IPV4, masked(a::SOURCE_IPV4, &ipv4, &ipv4_mask)),
        TrialMatch::DestinationIpv4 => (IPV4, masked(a::DESTINATION_IPV4, &ipv4, &ipv4_mask)),
        TrialMatch::SourceIpv6 => (IPV6, masked(a::SOURCE_IPV6, &ipv6, &ipv6_mask)),
        TrialMatch::DestinationIpv6 => (IPV6, masked(a::DESTINATION_IPV6, &ipv6, &ipv6_mask)),
        TrialMatch::SourcePort => (IPV4, above(UDP).with(a::UDP_SOURCE, &port)),
        TrialMatch::DestinationPort => (IPV4, above(UDP).with(a::UDP_DESTINATION, &port)),
        TrialMatch::DestinationPortRange => {
            let range = masked(a::PORT_DESTINATION_MIN, &port, &4720u16.to_be_bytes());
            (IPV4, range.with(a::IP_PROTOCOL, &[UDP]))
        }
        TrialMatch::TcpFlags => {
            let syn = masked(a::TCP_FLAGS, &2u16.to_be_bytes(), &0xfffu16.to_be_bytes());
            (IPV4, syn.with(a::IP_PROTOCOL, &[TCP]))
        }
        TrialMatch::IpTosTtl => {
            let tos = masked(a::TOS, &[0xfc], &[0xff]);
            (IPV4, tos.with(a::TTL, &[1]).with(a::TTL + 1, &[0xff]))
        }
        TrialMatch::Fragment => {
            (IPV4, masked(a::KEY_FLAGS, &1u32.to_be_bytes(), &1u32.to_be_bytes()))
        }
        TrialMatch::TunnelKey => (IPV4, empty().with(a::TUNNEL_KEY, &4711u32.to_be_bytes())),
        TrialMatch::ConntrackState => {
            // Tracked and established.
            (IPV4, masked(a::CONNTRACK_STATE, &10u16.to_ne_bytes(), &10u16.to_ne_bytes()))
        }
    }
}

/// Verdicts of actions.
const OK: i32 = 0;
const SHOT: i32 = 2;
const PIPE: i32 = 3;
const STOLEN: i32 = 4;
const TRAP: i32 = 8;
const GOTO_CHAIN: i32 = 2 << 28;

/// A list of one action, or of what belongs together.
fn actions(action: TrialAction, ifindex: u32) -> Attributes {
    let general = |verdict: i32| vec![0, 0, verdict, 0, 0];
    let gact = |verdict: i32| ("gact", Attributes::default().with(2, &words(&general(verdict))));
    let mirred = |direction: i32, verdict: i32| {
        let parameters = [general(verdict), vec![direction, ifindex as i32]].concat();
        ("mirred", Attributes::default().with(2, &words(&parameters)))
    };
    let conntrack = |flags: u16| {
        Attributes::default().with(1, &words(&general(PIPE))).with(3, &flags.to_ne_bytes())
    };
    let steps = match action {
        TrialAction::Drop => vec![gact(SHOT)],
        TrialAction::Pass => vec![gact(OK)],
        TrialAction::Trap => vec![gact(TRAP)],
        TrialAction::Goto => vec![gact(GOTO_CHAIN | 0x51c0)],
        TrialAction::Redirect => vec![mirred(1, STOLEN)],
        TrialAction::Mirror => vec![mirred(2, PIPE), gact(OK)],
        TrialAction::Pedit => vec![("pedit", pedit()), gact(OK)],
        TrialAction::Checksum => {
            let parameters = [general(PIPE), vec![1]].concat();
            vec![("csum", Attributes::default().with(1, &words(&parameters))), gact(OK)]
        }
        TrialAction::Vlan => {
            let parameters = [general(PIPE), vec![2]].concat();
            let push = Attributes::default().with(2, &words(&parameters));
            vec![("vlan", push.with(3, &4094u16.to_ne_bytes())), gact(OK)]
        }
        TrialAction::Conntrack => vec![("ct", conntrack(1)), gact(OK)],
        TrialAction::ConntrackNat => {
            // Commit, translate, the source.
            let address = [192, 0, 2, 1];
            let nat = conntrack(1 | 1 << 3 | 1 << 4).with(9, &address).with(10, &address);
            vec![("ct", nat), gact(OK)]
        }
        TrialAction::Tunnel => {
            let parameters = [general(PIPE), vec![2]].concat();
            vec![("tunnel_key", Attributes::default().with(2, &words(&parameters))), gact(OK)]
        }
    };
    let mut list = Attributes::default();
    for (place, (kind, options)) in (1..).zip(&steps) {
        let one = Attributes::default().with_text(1, kind).with_nested(2, options);
        list = list.with_nested(place, &one);
    }
    list
}

/// Sets the source address of IPv4: extended keys, since drivers ask for the header by its name.
fn pedit() -> Attributes {
    const PARAMETERS_EXTENDED: u16 = 4;
    const KEYS_EXTENDED: u16 = 5;
    const KEY_EXTENDED: u16 = 6;
    const HEADER_TYPE: u16 = 1;
    const COMMAND: u16 = 2;
    const IPV4_HEADER: u16 = 2;
    const SET: u16 = 0;
    let mut parameters = words(&[0, 0, PIPE, 0, 0]);
    // One key, no flags, padded.
    parameters.extend([1, 0, 0, 0]);
    parameters.extend(words(&[0, i32::from_ne_bytes([192, 0, 2, 1]), 12, 0, 0, 0]));
    let key = Attributes::default()
        .with(HEADER_TYPE, &IPV4_HEADER.to_ne_bytes())
        .with(COMMAND, &SET.to_ne_bytes());
    Attributes::default()
        .with(PARAMETERS_EXTENDED, &parameters)
        .with_nested(KEYS_EXTENDED, &Attributes::default().with_nested(KEY_EXTENDED, &key))
}

fn words(words: &[i32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
