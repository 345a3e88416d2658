/// What became of a packet. Shared by datapath, counters, API, console and documentation.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Sent to a backend in a tunnel (DSR).
    SentEncapsulated,
    /// Sent to a backend with translated addresses (NAT).
    SentTranslated,
    /// A backend's answer, translated back, sent to the client.
    SentReply,
    /// An ICMP error of a balanced flow, sent to the backend or the client of that flow.
    SentIcmp,
    /// Too big for the way to the backend: answered with 'fragmentation needed' or 'packet too big'.
    SentTooBig,
    /// Neither IPv4 nor IPv6 (ARP and others).
    PassNotIp,
    /// More than two VLAN tags, and no prefilter that would have to see the source behind them.
    PassVlanDepth,
    /// VLAN tagged, and nothing configured needs tagged packets.
    PassVlan,
    /// IPv6, and nothing configured needs IPv6.
    PassIpv6,
    /// Neither TCP, UDP nor ICMP.
    PassProtocol,
    /// To no address or port of a service.
    PassNotService,
    /// A later fragment to no address of a service.
    PassFragment,
    /// ICMP that is no error of a balanced flow.
    PassIcmp,
    /// To a pool address, but no reply to a translated flow.
    PassNoMapping,
    /// TTL or hop limit used up: the host answers.
    PassHopLimit,
    /// Nothing is configured that concerns this packet.
    PassUnconfigured,
    /// Shorter than an Ethernet header.
    DropEthernetTruncated,
    /// The frame ends in a VLAN tag.
    DropVlanTruncated,
    /// More than two VLAN tags, where a prefilter has to see the source behind them.
    DropVlanDepth,
    /// The frame ends in the IPv4 header.
    DropIpv4Truncated,
    /// EtherType IPv4, but another version in the header.
    DropIpv4Version,
    /// IPv4 header length under 20 bytes or over the packet's.
    DropIpv4HeaderLength,
    /// IPv4 total length over the frame's.
    DropIpv4Length,
    /// The frame ends in the IPv6 header.
    DropIpv6Truncated,
    /// EtherType IPv6, but another version in the header.
    DropIpv6Version,
    /// IPv6 payload length over the frame's.
    DropIpv6Length,
    /// An IPv6 extension header ends outside the packet.
    DropIpv6Extension,
    /// More IPv6 extension headers than are followed.
    DropIpv6ExtensionLimit,
    /// The packet ends in the TCP header.
    DropTcpTruncated,
    /// TCP header length under 20 bytes or over the packet's.
    DropTcpHeaderLength,
    /// The packet ends in the UDP header.
    DropUdpTruncated,
    /// UDP length under 8 bytes or over the packet's.
    DropUdpLength,
    /// The packet ends in the ICMP header.
    DropIcmpTruncated,
    /// A prefilter prefix denies the source.
    DropDenied,
    /// The service does not allow the source.
    DropSourceNotAllowed,
    /// No backend of the service may take packets.
    DropNoBackend,
    /// The backend of a translated flow is dead.
    DropBackendDead,
    /// The next hop of the backend is not known.
    DropNoNextHop,
    /// Too big for the way to the backend, and no answer could be sent (don't-fragment not set, or the rate limit).
    DropTooBig,
    /// No room in front of the frame for the outer header.
    DropHeadroom,
    /// A later fragment whose first fragment was not seen.
    DropFragmentUnknown,
    /// Every port that the flow may take is in use.
    DropNatExhausted,
    /// A TCP packet of no known translated flow that opens none.
    DropNatUnknownFlow,
    /// The tables contradict each other: a bug, or a change in progress that took too long.
    DropInternal,
}

/// The kinds of [`Reason`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The packet was sent on by the datapath.
    Sent,
    /// The packet goes on to the host's network stack.
    Pass,
    /// The packet was dropped.
    Drop,
}

impl Reason {
    /// How many there are.
    pub const COUNT: usize = Self::ALL.len();

    /// All of them, in order.
    pub const ALL: &[Self] = &[
        Self::SentEncapsulated,
        Self::SentTranslated,
        Self::SentReply,
        Self::SentIcmp,
        Self::SentTooBig,
        Self::PassNotIp,
        Self::PassVlanDepth,
        Self::PassVlan,
        Self::PassIpv6,
        Self::PassProtocol,
        Self::PassNotService,
        Self::PassFragment,
        Self::PassIcmp,
        Self::PassNoMapping,
        Self::PassHopLimit,
        Self::PassUnconfigured,
        Self::DropEthernetTruncated,
        Self::DropVlanTruncated,
        Self::DropVlanDepth,
        Self::DropIpv4Truncated,
        Self::DropIpv4Version,
        Self::DropIpv4HeaderLength,
        Self::DropIpv4Length,
        Self::DropIpv6Truncated,
        Self::DropIpv6Version,
        Self::DropIpv6Length,
        Self::DropIpv6Extension,
        Self::DropIpv6ExtensionLimit,
        Self::DropTcpTruncated,
        Self::DropTcpHeaderLength,
        Self::DropUdpTruncated,
        Self::DropUdpLength,
        Self::DropIcmpTruncated,
        Self::DropDenied,
        Self::DropSourceNotAllowed,
        Self::DropNoBackend,
        Self::DropBackendDead,
        Self::DropNoNextHop,
        Self::DropTooBig,
        Self::DropHeadroom,
        Self::DropFragmentUnknown,
        Self::DropNatExhausted,
        Self::DropNatUnknownFlow,
        Self::DropInternal,
    ];

    /// The reason with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(number as usize).copied()
    }

    /// What became of the packet.
    #[inline(always)]
    pub const fn class(self) -> Class {
        match self as u32 {
            n if n < Self::PassNotIp as u32 => Class::Sent,
            n if n < Self::DropEthernetTruncated as u32 => Class::Pass,
            _ => Class::Drop,
        }
    }

    /// The name in API, console, metrics and documentation; unique within its class.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SentEncapsulated => "encapsulated",
            Self::SentTranslated => "translated",
            Self::SentReply => "reply",
            Self::SentIcmp => "icmp-error-forwarded",
            Self::SentTooBig => "too-big-answered",
            Self::PassNotIp => "not-ip",
            Self::PassVlanDepth => "vlan-depth",
            Self::PassVlan => "vlan",
            Self::PassIpv6 => "ipv6",
            Self::PassProtocol => "protocol",
            Self::PassNotService => "not-service",
            Self::PassFragment => "fragment",
            Self::PassIcmp => "icmp",
            Self::PassNoMapping => "no-mapping",
            Self::PassHopLimit => "hop-limit",
            Self::PassUnconfigured => "unconfigured",
            Self::DropEthernetTruncated => "ethernet-truncated",
            Self::DropVlanTruncated => "vlan-truncated",
            Self::DropVlanDepth => "vlan-depth",
            Self::DropIpv4Truncated => "ipv4-truncated",
            Self::DropIpv4Version => "ipv4-version",
            Self::DropIpv4HeaderLength => "ipv4-header-length",
            Self::DropIpv4Length => "ipv4-length",
            Self::DropIpv6Truncated => "ipv6-truncated",
            Self::DropIpv6Version => "ipv6-version",
            Self::DropIpv6Length => "ipv6-length",
            Self::DropIpv6Extension => "ipv6-extension",
            Self::DropIpv6ExtensionLimit => "ipv6-extension-limit",
            Self::DropTcpTruncated => "tcp-truncated",
            Self::DropTcpHeaderLength => "tcp-header-length",
            Self::DropUdpTruncated => "udp-truncated",
            Self::DropUdpLength => "udp-length",
            Self::DropIcmpTruncated => "icmp-truncated",
            Self::DropDenied => "denied",
            Self::DropSourceNotAllowed => "source-not-allowed",
            Self::DropNoBackend => "no-backend",
            Self::DropBackendDead => "backend-dead",
            Self::DropNoNextHop => "no-next-hop",
            Self::DropTooBig => "too-big",
            Self::DropHeadroom => "headroom",
            Self::DropFragmentUnknown => "fragment-unknown",
            Self::DropNatExhausted => "nat-exhausted",
            Self::DropNatUnknownFlow => "nat-unknown-flow",
            Self::DropInternal => "internal",
        }
    }

    /// One sentence for people.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::SentEncapsulated => "Sent to a backend in a tunnel (DSR).",
            Self::SentTranslated => "Sent to a backend with translated addresses (NAT).",
            Self::SentReply => "A backend's answer, translated back, sent to the client.",
            Self::SentIcmp => {
                "An ICMP error of a balanced flow, sent to the backend or the client of that flow."
            }
            Self::SentTooBig => {
                "Too big for the way to the backend: answered with 'fragmentation needed' or 'packet too big'."
            }
            Self::PassNotIp => "Neither IPv4 nor IPv6 (ARP and others).",
            Self::PassVlanDepth => "More than two VLAN tags.",
            Self::DropVlanDepth => {
                "More than two VLAN tags: the prefilter cannot see the source behind them."
            }
            Self::PassVlan => "VLAN tagged, and nothing configured needs tagged packets.",
            Self::PassIpv6 => "IPv6, and nothing configured needs IPv6.",
            Self::PassProtocol => "Neither TCP, UDP nor ICMP.",
            Self::PassNotService => "To no address or port of a service.",
            Self::PassFragment => "A later fragment to no address of a service.",
            Self::PassIcmp => "ICMP that is no error of a balanced flow.",
            Self::PassNoMapping => "To a pool address, but no reply to a translated flow.",
            Self::PassHopLimit => "TTL or hop limit used up: the host answers.",
            Self::PassUnconfigured => "Nothing is configured that concerns this packet.",
            Self::DropEthernetTruncated => "Shorter than an Ethernet header.",
            Self::DropVlanTruncated => "The frame ends in a VLAN tag.",
            Self::DropIpv4Truncated => "The frame ends in the IPv4 header.",
            Self::DropIpv4Version => "EtherType IPv4, but another version in the header.",
            Self::DropIpv4HeaderLength => "IPv4 header length under 20 bytes or over the packet's.",
            Self::DropIpv4Length => "IPv4 total length over the frame's.",
            Self::DropIpv6Truncated => "The frame ends in the IPv6 header.",
            Self::DropIpv6Version => "EtherType IPv6, but another version in the header.",
            Self::DropIpv6Length => "IPv6 payload length over the frame's.",
            Self::DropIpv6Extension => "An IPv6 extension header ends outside the packet.",
            Self::DropIpv6ExtensionLimit => "More IPv6 extension headers than are followed.",
            Self::DropTcpTruncated => "The packet ends in the TCP header.",
            Self::DropTcpHeaderLength => "TCP header length under 20 bytes or over the packet's.",
            Self::DropUdpTruncated => "The packet ends in the UDP header.",
            Self::DropUdpLength => "UDP length under 8 bytes or over the packet's.",
            Self::DropIcmpTruncated => "The packet ends in the ICMP header.",
            Self::DropDenied => "A prefilter prefix denies the source.",
            Self::DropSourceNotAllowed => "The service does not allow the source.",
            Self::DropNoBackend => "No backend of the service may take packets.",
            Self::DropBackendDead => "The backend of a translated flow is dead.",
            Self::DropNoNextHop => "The next hop of the backend is not known.",
            Self::DropTooBig => {
                "Too big for the way to the backend, and no answer could be sent (don't-fragment not set, or the rate limit)."
            }
            Self::DropHeadroom => "No room in front of the frame for the outer header.",
            Self::DropFragmentUnknown => "A later fragment whose first fragment was not seen.",
            Self::DropNatExhausted => "Every port that the flow may take is in use.",
            Self::DropNatUnknownFlow => "A TCP packet of no known translated flow that opens none.",
            Self::DropInternal => {
                "The tables contradict each other: a bug, or a change in progress that took too long."
            }
        }
    }
}
