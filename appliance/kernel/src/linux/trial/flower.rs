//! Flower filters on trial. Each really drops what it matches, in the card and for as long as it is there: so it matches
//! addresses that are for documentation, or an EtherType that is for experiments, and no packet of anybody.

use super::{HeldFilter, Ingress, Tried, wire::Attributes};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
/// For experiments (IEEE 802, local experimental 1).
const EXPERIMENTAL: u16 = 0x88b5;
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

/// The EtherType that the field needs, and the attributes: the field, and a destination that nobody has.
fn matches(field: TrialMatch) -> (u16, Attributes) {
    use attribute as a;
    // Value and mask stand one behind the other.
    fn masked(list: Attributes, kind: u16, value: &[u8], mask: &[u8]) -> Attributes {
        list.with(kind, value).with(kind + 1, mask)
    }
    let empty = Attributes::default;
    // RFC 5737, RFC 3849, RFC 7042.
    let ipv4 = |kind: u16| masked(empty(), kind, &[192, 0, 2, 1], &[255; 4]);
    let ipv6 = |kind: u16| masked(empty(), kind, &DOCUMENTATION_IPV6, &[255; 16]);
    let mac = |kind: u16| masked(empty(), kind, &[0x00, 0x00, 0x5e, 0x00, 0x53, 0x01], &[0xff; 6]);
    let nobody = || ipv4(a::DESTINATION_IPV4);
    let above = |protocol: u8| nobody().with(a::IP_PROTOCOL, &[protocol]);
    let port = 4711u16.to_be_bytes();
    match field {
        TrialMatch::EtherType => (EXPERIMENTAL, empty()),
        TrialMatch::DestinationMac => (IPV4, mac(a::DESTINATION_MAC)),
        TrialMatch::SourceMac => (IPV4, mac(a::SOURCE_MAC)),
        TrialMatch::VlanId => {
            (VLAN, mac(a::DESTINATION_MAC).with(a::VLAN_ID, &4094u16.to_ne_bytes()))
        }
        TrialMatch::IpProtocol => (IPV4, above(UDP)),
        TrialMatch::SourceIpv4 => (IPV4, ipv4(a::SOURCE_IPV4)),
        TrialMatch::DestinationIpv4 => (IPV4, nobody()),
        TrialMatch::SourceIpv6 => (IPV6, ipv6(a::SOURCE_IPV6)),
        TrialMatch::DestinationIpv6 => (IPV6, ipv6(a::DESTINATION_IPV6)),
        TrialMatch::SourcePort => (IPV4, above(UDP).with(a::UDP_SOURCE, &port)),
        TrialMatch::DestinationPort => (IPV4, above(UDP).with(a::UDP_DESTINATION, &port)),
        TrialMatch::DestinationPortRange => {
            (IPV4, masked(above(UDP), a::PORT_DESTINATION_MIN, &port, &4720u16.to_be_bytes()))
        }
        TrialMatch::TcpFlags => {
            let (syn, all) = (2u16.to_be_bytes(), 0xfffu16.to_be_bytes());
            (IPV4, masked(above(TCP), a::TCP_FLAGS, &syn, &all))
        }
        TrialMatch::IpTosTtl => {
            let tos = masked(nobody(), a::TOS, &[0xfc], &[0xff]);
            (IPV4, masked(tos, a::TTL, &[1], &[0xff]))
        }
        TrialMatch::Fragment => {
            let fragment = 1u32.to_be_bytes();
            (IPV4, masked(nobody(), a::KEY_FLAGS, &fragment, &fragment))
        }
        TrialMatch::TunnelKey => (IPV4, nobody().with(a::TUNNEL_KEY, &4711u32.to_be_bytes())),
        TrialMatch::ConntrackState => {
            // Tracked and established.
            let state = 10u16.to_ne_bytes();
            (IPV4, masked(nobody(), a::CONNTRACK_STATE, &state, &state))
        }
    }
}

const DOCUMENTATION_IPV6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::trial::wire::find;

    /// A rule drops what it matches: each must match nobody's packets.
    #[test]
    fn no_rule_matches_a_packet_of_anybody() {
        use TrialMatch as M;
        let fields = [
            M::EtherType,
            M::DestinationMac,
            M::SourceMac,
            M::VlanId,
            M::IpProtocol,
            M::SourceIpv4,
            M::DestinationIpv4,
            M::SourceIpv6,
            M::DestinationIpv6,
            M::SourcePort,
            M::DestinationPort,
            M::DestinationPortRange,
            M::TcpFlags,
            M::IpTosTtl,
            M::Fragment,
            M::TunnelKey,
            M::ConntrackState,
        ];
        for field in fields {
            let (protocol, list) = matches(field);
            let addresses = [
                attribute::DESTINATION_MAC,
                attribute::SOURCE_MAC,
                attribute::SOURCE_IPV4,
                attribute::DESTINATION_IPV4,
                attribute::SOURCE_IPV6,
                attribute::DESTINATION_IPV6,
            ];
            let exact = addresses.iter().any(|kind| {
                find(list.bytes(), *kind).is_some()
                    && find(list.bytes(), kind + 1)
                        .is_some_and(|mask| mask.iter().all(|byte| *byte == 255))
            });
            assert!(exact || protocol == EXPERIMENTAL, "{field:?}");
        }
    }
}
