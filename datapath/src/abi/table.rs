use super::{
    Address, Backend, BackendCount, Count, Event, FragmentLine, Limit, Move, NatRecord, NatTags,
    PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6, PrefilterHit, PrefilterLine4,
    PrefilterLine6, RememberedLine, Service, ServiceCounts, Shared64, SourceRange4, SourceRange6,
    VipLine,
};

/// How a table lives in the host's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// An array that user space maps into its memory (`BPF_MAP_TYPE_ARRAY`, `BPF_F_MMAPABLE`).
    Shared,
    /// An array with a copy per CPU.
    PerCpu,
    /// A ring buffer; its size is in bytes.
    Ring,
}

/// Who fills a table, which decides what happens to it when it must grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableOwner {
    /// Computed from configuration and neighbours: can be rebuilt.
    Daemon,
    /// Written by the datapath too: must be kept.
    Datapath,
}

macro_rules! tables {
    ($($table:ident $name:literal $kind:ident $owner:ident $value:ty, $doc:literal;)+) => {
        /// The logical tables. The name is the name of the map in the programs and of its pin.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Table {
            $(#[doc = $doc] $table,)+
        }

        impl Table {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$table,)+];

            /// Name of map and pin.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$table => $name,)+ }
            }

            /// How it lives in the kernel.
            pub const fn kind(self) -> TableKind {
                match self { $(Self::$table => TableKind::$kind,)+ }
            }

            /// Who fills it.
            pub const fn owner(self) -> TableOwner {
                match self { $(Self::$table => TableOwner::$owner,)+ }
            }

            /// Bytes of an entry (of an event for the ring).
            pub const fn value_size(self) -> usize {
                match self { $(Self::$table => size_of::<$value>(),)+ }
            }
        }

        $(const _: () = assert!(size_of::<$value>().is_multiple_of(8));)+
    };
}

tables! {
    Vip4 "VIP4" Shared Daemon VipLine, "IPv4 virtual and pool addresses.";
    Vip6 "VIP6" Shared Daemon VipLine, "IPv6 virtual and pool addresses.";
    PortRanges "PORT_RANGES" Shared Daemon PortRange, "Services at port ranges.";
    Services "SERVICES" Shared Daemon Service, "Services by index.";
    ServiceNames "SERVICE_NAMES" Shared Daemon [u64; 8], "Names of the services, UTF-8, padded with zeros; only for user space, so that a new daemon knows whose index is whose.";
    Slots "SLOTS" Shared Daemon Shared64, "Maglev slots of all services.";
    Moves "MOVES" Shared Datapath Move, "The clock of each slot while it moves.";
    Backends "BACKENDS" Shared Daemon Backend, "Backends by id.";
    Sources4 "SOURCES4" Shared Daemon SourceRange4, "Allowed IPv4 sources.";
    Sources6 "SOURCES6" Shared Daemon SourceRange6, "Allowed IPv6 sources.";
    Remembered "REMEMBERED" Shared Datapath RememberedLine, "Flows remembered while their slot moves.";
    Fragments "FRAGMENTS" Shared Datapath FragmentLine, "Fragmented datagrams on their way.";
    NatPool "NAT_POOL" Shared Daemon Address, "Pool addresses by number, both families.";
    NatTags "NAT_TAGS" Shared Datapath NatTags, "Tags of the translated flows, a line per set of ports.";
    NatRecords "NAT_RECORDS" Shared Datapath NatRecord, "Translated flows by pool address, protocol and port.";
    PrefilterControl "PF_CONTROL" Shared Daemon PrefilterControl, "Which halves of the prefilter tables are active.";
    Prefilter4Header "PF4_HEADER" Shared Daemon PrefilterHeader4, "How to search each half of the IPv4 prefilter.";
    Prefilter4Bitmap "PF4_BITMAP" Shared Daemon Shared64, "A bit per IPv4 /24, two halves.";
    Prefilter4Lines "PF4_LINES" Shared Daemon PrefilterLine4, "IPv4 prefixes, two halves.";
    Prefilter6Header "PF6_HEADER" Shared Daemon PrefilterHeader6, "How to search each half of the IPv6 prefilter.";
    Prefilter6Bitmap "PF6_BITMAP" Shared Daemon Shared64, "A bit per hash of an IPv6 /48, two halves.";
    Prefilter6Lines "PF6_LINES" Shared Daemon PrefilterLine6, "IPv6 prefixes, two halves.";
    PrefilterHits "PF_HITS" PerCpu Datapath PrefilterHit, "Candidates for the prefixes that hit most.";
    Counts "COUNTS" PerCpu Datapath Count, "Packets and bytes by reason.";
    BackendCounts "BACKEND_COUNTS" PerCpu Datapath BackendCount, "Packets and bytes by backend.";
    ServiceCounts "SERVICE_COUNTS" PerCpu Datapath ServiceCounts, "What was not simply delivered, by service.";
    Limits "LIMITS" PerCpu Datapath Limit, "Budgets for events and ICMP answers.";
    Events "EVENTS" Ring Datapath Event, "Sampled drop and flow events.";
}
