//! What the datapath and user space share in memory: one file per table.
//!
//! Every type is `repr(C)` without padding and made of words, so that user space writes a table through a
//! memory map one aligned word at a time and no reader ever sees half a word.

mod address;
mod backend;
mod card;
mod counter;
mod event;
mod fragment;
mod limit;
mod nat;
mod plain;
mod prefilter;
mod reason;
mod remembered;
mod service;
mod settings;
mod shared;
mod slot;
mod source;
mod table;
mod vip;

pub use address::{Address, address4, address6, ip_address};
pub use backend::{Backend, BackendFlags, MAX_BACKEND_ID, Mac};
pub use card::{
    CARD_ABI_VERSION, CARD_ENTRY_BYTES, CARD_LENGTHS, CardBackend, CardCounts, CardFlags,
    CardLength, CardPrefix, CardPrefixKey4, CardPrefixKey6, CardService, CardServiceKey4,
    CardServiceKey6, CardSettings, CardSlot, CardTable, CardTableKind,
};
pub use counter::{BackendCount, Count, SERVICE_COUNTERS, ServiceCounter, ServiceCounts};
pub use event::{Event, EventKind};
pub use fragment::{FRAGMENT_WAYS, FragmentLine, FragmentTarget};
pub use limit::Limit;
pub use nat::{
    NAT_INDICES_PER_ADDRESS, NAT_PORTS, NAT_WAYS, NatPool, NatRecord, NatState, NatTags,
    nat_index_port,
};
pub use plain::Plain;
pub use prefilter::{
    PREFILTER_MASKS4, PREFILTER_MASKS6, PREFILTER_PROBES, PREFILTER_WAYS4, PREFILTER_WAYS6,
    PREFILTER4_BITMAP_WORDS, PREFILTER6_BITMAP_WORDS, PREFILTER6_UNIT, PrefilterControl,
    PrefilterEntry4, PrefilterEntry6, PrefilterHeader4, PrefilterHeader6, PrefilterHit,
    PrefilterLine4, PrefilterLine6, PrefilterWord,
};
pub use reason::{Class, Reason};
pub use remembered::{REMEMBERED_WAYS, RememberedLine};
pub use service::{Service, ServiceFlags, SlotRange};
pub use settings::{Features, Settings};
pub use shared::{Shared32, Shared64};
pub use slot::{Move, NO_BACKEND, Slot};
pub use source::{SOURCE_STEPS, SourceRange4, SourceRange6};
pub use table::{Table, TableKind, TableOwner};
pub use vip::{
    INLINE_PORTS, PORT_RANGE_STEPS, PortRange, VIP_PROBES, VipFlags, VipLine, VipPort, port_key,
};

/// The version of everything in this module together with the map names and kinds of the host programs.
/// A daemon that finds pinned tables of another version replaces them.
pub const ABI_VERSION: u32 = 2;

/// Bytes in a cache line on the machines that Sluice targets.
pub const CACHE_LINE: usize = 64;
