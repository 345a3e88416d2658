use super::plain::plain;

/// Load-time constants of a program. They are read-only data, so the verifier knows them and removes the
/// code of everything that isn't configured.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// What is configured.
    pub features: Features,
    /// The link that the program is attached to.
    pub ifindex: u32,
    /// Longest IP packet that the link sends, in bytes.
    pub mtu: u32,
    /// A tick is this power of two of jiffies.
    pub tick_shift: u32,
    /// Lines of the IPv4 address table less one.
    pub vip4_mask: u32,
    /// Lines of the IPv6 address table less one.
    pub vip6_mask: u32,
    /// Lines of the table of remembered flows less one.
    pub remembered_mask: u32,
    /// Lines of the fragment table less one.
    pub fragment_mask: u32,
    /// Ticks that a fragmented datagram is remembered.
    pub fragment_ticks: u32,
    /// Lines of one half of the IPv4 prefilter table.
    pub prefilter4_half: u32,
    /// Lines of one half of the IPv6 prefilter table.
    pub prefilter6_half: u32,
    /// Slots per CPU for the prefixes that hit most, less one.
    pub prefilter_hit_mask: u32,
    /// Drop events per CPU and tick.
    pub drop_events_per_tick: u32,
    /// One new flow in this power of two becomes an event; 32 for none.
    pub flow_sample_shift: u32,
    /// ICMP answers per CPU and tick.
    pub icmp_per_tick: u32,
}

impl Settings {
    /// Nothing is configured.
    pub const NONE: Self = Self {
        features: Features(0),
        ifindex: 0,
        mtu: 0,
        tick_shift: 0,
        vip4_mask: 0,
        vip6_mask: 0,
        remembered_mask: 0,
        fragment_mask: 0,
        fragment_ticks: 0,
        prefilter4_half: 0,
        prefilter6_half: 0,
        prefilter_hit_mask: 0,
        drop_events_per_tick: 0,
        flow_sample_shift: 0,
        icmp_per_tick: 0,
    };
}

/// What is configured, as bits.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(pub u32);

impl Features {
    /// IPv6 services or IPv6 prefixes exist.
    pub const IPV6: u32 = 1;
    /// IPv4 prefixes exist.
    pub const PREFILTER4: u32 = 1 << 1;
    /// IPv6 prefixes exist.
    pub const PREFILTER6: u32 = 1 << 2;
    /// Services exist.
    pub const SERVICE: u32 = 1 << 3;
    /// Services that encapsulate exist.
    pub const DSR: u32 = 1 << 4;
    /// Services that translate exist.
    pub const NAT: u32 = 1 << 5;
    /// Some address has port ranges, or more services than fit into its line.
    pub const RANGES: u32 = 1 << 6;
    /// Some service has allowed sources.
    pub const SOURCES: u32 = 1 << 7;
    /// Some service has affinity.
    pub const AFFINITY: u32 = 1 << 8;
    /// Events are wanted.
    pub const EVENTS: u32 = 1 << 9;
    /// Some next hop has a VLAN tag, or tagged packets are to be served.
    pub const VLAN: u32 = 1 << 10;
    /// Every feature.
    pub const ALL: u32 = (1 << 11) - 1;

    /// Whether one of these bits is set.
    #[inline(always)]
    pub const fn has(self, bits: u32) -> bool {
        self.0 & bits != 0
    }
}

plain!(Settings);
