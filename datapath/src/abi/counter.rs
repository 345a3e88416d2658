use super::plain::plain;

/// Packets and bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Packets.
    pub packets: u64,
    /// Bytes from the Ethernet header on.
    pub bytes: u64,
}

/// What one backend was sent and (NAT) answered.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackendCount {
    /// Towards the backend.
    pub forward: Count,
    /// From the backend, seen only with NAT.
    pub reply: Count,
}

/// How many [`ServiceCounter`]s there are.
pub const SERVICE_COUNTERS: usize = 12;

/// Packets of a service that were not simply delivered. What was delivered is the sum over its backends.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceCounter {
    /// Dropped: source not in the allowed ranges.
    SourceNotAllowed,
    /// Dropped: no backend may take packets.
    NoBackend,
    /// Dropped: the next hop of the backend is not known.
    NoNextHop,
    /// Too big for the way to the backend.
    TooBig,
    /// Dropped: every port that the flow may take is in use.
    NatExhausted,
    /// Dropped: a TCP packet of no known flow that opens none.
    NatUnknownFlow,
    /// Dropped: a fragment whose first fragment was not seen.
    FragmentUnknown,
    /// A flow remembered while its slot moves.
    Remembered,
    /// A new flow in a moving slot that the full table could not remember, sent to the slot's old backend.
    RememberedFullOld,
    /// As before, but the old backend is gone: sent to the new one and not remembered.
    RememberedFullNew,
    /// Packets that a moving slot sent to another backend than its new one.
    SentBefore,
    /// Dropped: the backend of a translated flow is dead.
    BackendDead,
}

impl ServiceCounter {
    /// All of them, in order.
    pub const ALL: [Self; SERVICE_COUNTERS] = [
        Self::SourceNotAllowed,
        Self::NoBackend,
        Self::NoNextHop,
        Self::TooBig,
        Self::NatExhausted,
        Self::NatUnknownFlow,
        Self::FragmentUnknown,
        Self::Remembered,
        Self::RememberedFullOld,
        Self::RememberedFullNew,
        Self::SentBefore,
        Self::BackendDead,
    ];

    /// The name in API, console and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SourceNotAllowed => "source-not-allowed",
            Self::NoBackend => "no-backend",
            Self::NoNextHop => "no-next-hop",
            Self::TooBig => "too-big",
            Self::NatExhausted => "nat-exhausted",
            Self::NatUnknownFlow => "nat-unknown-flow",
            Self::FragmentUnknown => "fragment-unknown",
            Self::Remembered => "remembered",
            Self::RememberedFullOld => "remembered-full-old",
            Self::RememberedFullNew => "remembered-full-new",
            Self::SentBefore => "sent-before",
            Self::BackendDead => "backend-dead",
        }
    }
}

/// The [`ServiceCounter`]s of one service on one CPU.
pub type ServiceCounts = [u64; SERVICE_COUNTERS];

plain!(Count, BackendCount, ServiceCounts);
