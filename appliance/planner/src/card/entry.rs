//! One entry of a card's table, and one write that can be taken back.

use std::fmt;

use ipnet::IpNet;
use sluice_datapath::abi::{
    CardBackend, CardFlags, CardPrefixKey4, CardPrefixKey6, CardService, CardServiceKey4,
    CardServiceKey6, CardSettings, CardSlot, CardTable, CardTableKind, PrefilterWord, address4,
    address6,
};

/// An entry of a card's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardEntry {
    /// What to do with packets of a family: [`CardSettings::IPV4`] or [`CardSettings::IPV6`].
    Settings(u32, CardSettings),
    /// An IPv4 prefix; its counter begins at zero.
    Prefix4(CardPrefixKey4, PrefilterWord),
    /// An IPv6 prefix; its counter begins at zero.
    Prefix6(CardPrefixKey6, PrefilterWord),
    /// A service at an IPv4 address.
    Service4(CardServiceKey4, CardService),
    /// A service at an IPv6 address.
    Service6(CardServiceKey6, CardService),
    /// A Maglev slot.
    Slot(u32, CardSlot),
    /// A backend.
    Backend(u32, CardBackend),
    /// The counter of a backend, from zero.
    Sent(u32),
}

impl CardEntry {
    /// The entry of a prefix.
    #[must_use]
    pub fn prefix(prefix: &IpNet, deny: bool) -> Self {
        let bits = u32::from(prefix.prefix_len());
        let word = PrefilterWord::new(bits, deny);
        match prefix {
            IpNet::V4(net) => {
                let [address, ..] = address4(net.network());
                Self::Prefix4(CardPrefixKey4 { bits, address }, word)
            }
            IpNet::V6(net) => {
                Self::Prefix6(CardPrefixKey6 { bits, address: address6(net.network()) }, word)
            }
        }
    }

    /// The table that it is in.
    #[must_use]
    pub const fn table(&self) -> CardTable {
        match self {
            Self::Settings(..) => CardTable::Settings,
            Self::Prefix4(..) => CardTable::Prefixes4,
            Self::Prefix6(..) => CardTable::Prefixes6,
            Self::Service4(..) => CardTable::Services4,
            Self::Service6(..) => CardTable::Services6,
            Self::Slot(..) => CardTable::Slots,
            Self::Backend(..) => CardTable::Backends,
            Self::Sent(..) => CardTable::Sent,
        }
    }
}

/// A service's key on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardServiceKey {
    /// At an IPv4 address.
    V4(CardServiceKey4),
    /// At an IPv6 address.
    V6(CardServiceKey6),
}

impl CardServiceKey {
    /// The family, as an index of [`super::CardContents::settings`].
    #[must_use]
    pub const fn family(&self) -> usize {
        match self {
            Self::V4(_) => CardSettings::IPV4 as usize,
            Self::V6(_) => CardSettings::IPV6 as usize,
        }
    }

    /// The entry of a service with this key.
    #[must_use]
    pub const fn entry(self, service: CardService) -> CardEntry {
        match self {
            Self::V4(key) => CardEntry::Service4(key, service),
            Self::V6(key) => CardEntry::Service6(key, service),
        }
    }
}

/// One write into a table of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardStep {
    /// Writes an entry, in place of another one or none. Arrays always have one.
    Put {
        /// The entry.
        entry: CardEntry,
        /// What stood there.
        before: Option<CardEntry>,
    },
    /// Removes an entry of a hash.
    Remove {
        /// The entry as it is.
        entry: CardEntry,
    },
}

impl CardStep {
    /// A new entry.
    #[must_use]
    pub const fn add(entry: CardEntry) -> Self {
        Self::Put { entry, before: None }
    }

    /// The write that takes this one back. None for an entry of an array that was in use by nothing: it stays as it
    /// is. What a count was is not brought back.
    #[must_use]
    pub const fn undo(self) -> Option<Self> {
        match self {
            Self::Put { entry, before: Some(before) } => {
                Some(Self::Put { entry: before, before: Some(entry) })
            }
            Self::Put { entry, before: None } => match entry.table().kind() {
                CardTableKind::Hash => Some(Self::Remove { entry }),
                CardTableKind::Array => None,
            },
            Self::Remove { entry } => Some(Self::Put { entry, before: None }),
        }
    }

    /// The entry that is written or removed.
    #[must_use]
    pub const fn entry(&self) -> &CardEntry {
        match self {
            Self::Put { entry, .. } | Self::Remove { entry } => entry,
        }
    }
}

impl fmt::Display for CardStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { entry, .. } => entry.fmt(f),
            Self::Remove { entry } => write!(f, "remove {entry}"),
        }
    }
}

impl fmt::Display for CardEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use sluice_datapath::abi::ip_address;
        let prefix = |f: &mut fmt::Formatter<'_>, address, bits, word: &PrefilterWord| {
            let word = if word.denies() { "deny" } else { "allow" };
            write!(f, "{word} {address}/{bits}")
        };
        let service = |f: &mut fmt::Formatter<'_>, address, port: u32, service: &CardService| {
            let (protocol, port) = (port >> 16, port & 0xffff);
            let (base, last) = (service.base, service.base + service.mask);
            write!(f, "service {address} protocol {protocol} port {port}: slots {base} to {last}")
        };
        match self {
            Self::Settings(family, settings) => {
                let family = if *family == CardSettings::IPV4 { "IPv4" } else { "IPv6" };
                write!(f, "{family}:")?;
                for (flag, word) in [
                    (CardFlags::PREFILTER, " prefilter"),
                    (CardFlags::SERVICE, " service"),
                    (CardFlags::SAMPLE, " sample"),
                ] {
                    f.write_str(if settings.flags.has(flag) { word } else { "" })?;
                }
                f.write_str(if settings.flags.0 == 0 { " off" } else { "" })?;
                let lengths = settings.lengths.iter().filter_map(|length| length.bits());
                lengths.into_iter().try_for_each(|bits| write!(f, " /{bits}"))
            }
            Self::Prefix4(key, word) => {
                prefix(f, ip_address([key.address, 0, 0, 0], false), key.bits, word)
            }
            Self::Prefix6(key, word) => prefix(f, ip_address(key.address, true), key.bits, word),
            Self::Service4(key, value) => {
                service(f, ip_address([key.address, 0, 0, 0], false), key.port, value)
            }
            Self::Service6(key, value) => {
                service(f, ip_address(key.address, true), key.port, value)
            }
            Self::Slot(index, slot) => match slot.backend() {
                Some(backend) => write!(f, "slot {index}: backend {backend}"),
                None => write!(f, "slot {index}: the host"),
            },
            Self::Backend(index, backend) => {
                let v6 = backend.flags.has(sluice_datapath::abi::BackendFlags::IPV6);
                write!(f, "backend {index}: {}", ip_address(backend.address, v6))
            }
            Self::Sent(index) => write!(f, "counter of backend {index} from zero"),
        }
    }
}
