use super::{
    CARD_ENTRY_BYTES, CardBackend, CardCounts, CardPrefix, CardPrefixKey4, CardPrefixKey6,
    CardService, CardServiceKey4, CardServiceKey6, CardSettings, CardSlot,
};
use crate::abi::Count;

/// The kinds of maps that a card takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardTableKind {
    /// `BPF_MAP_TYPE_ARRAY` without flags: entries are addressed by number and always there, zero at first.
    Array,
    /// `BPF_MAP_TYPE_HASH` without flags: entries are addressed by key.
    Hash,
}

macro_rules! tables {
    ($($table:ident $name:literal $kind:ident $fixed:expr, $key:ty, $value:ty, $doc:literal;)+) => {
        /// The tables of a card. The name is the name of the map in the programs; a program has those of its stages.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum CardTable {
            $(#[doc = $doc] $table,)+
        }

        impl CardTable {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$table,)+];

            /// Name of the map.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$table => $name,)+ }
            }

            /// What kind of map it is.
            pub const fn kind(self) -> CardTableKind {
                match self { $(Self::$table => CardTableKind::$kind,)+ }
            }

            /// How many entries it has, where that isn't the loader's choice.
            pub const fn fixed_entries(self) -> Option<u32> {
                match self { $(Self::$table => $fixed,)+ }
            }

            /// Bytes of a key.
            pub const fn key_size(self) -> usize {
                match self { $(Self::$table => size_of::<$key>(),)+ }
            }

            /// Bytes of a value.
            pub const fn value_size(self) -> usize {
                match self { $(Self::$table => size_of::<$value>(),)+ }
            }
        }

        $(
            const _: () = assert!($name.len() <= MAP_NAME_BYTES);
            const _: () = assert!(rounded::<$key>() + rounded::<$value>() <= CARD_ENTRY_BYTES);
            // Keys are compared byte by byte, so they are words without padding.
            const _: () = assert!(align_of::<$key>() == 4 && size_of::<$value>().is_multiple_of(4));
        )+
    };
}

/// The kernel keeps this much of a map's name.
const MAP_NAME_BYTES: usize = 15;

const fn rounded<T>() -> usize {
    size_of::<T>().next_multiple_of(8)
}

tables! {
    Settings "CARD_SETTINGS" Array Some(CardSettings::COUNT), u32, CardSettings, "What to do, by family.";
    Prefixes4 "CARD_PREFIXES4" Hash None, CardPrefixKey4, CardPrefix, "IPv4 prefixes of the prefilter.";
    Prefixes6 "CARD_PREFIXES6" Hash None, CardPrefixKey6, CardPrefix, "IPv6 prefixes of the prefilter.";
    Services4 "CARD_SERVICES4" Hash None, CardServiceKey4, CardService, "Services at IPv4 addresses.";
    Services6 "CARD_SERVICES6" Hash None, CardServiceKey6, CardService, "Services at IPv6 addresses.";
    Slots "CARD_SLOTS" Array None, u32, CardSlot, "Maglev slots of all services on the card.";
    Backends "CARD_BACKENDS" Array None, u32, CardBackend, "Backends of all services on the card.";
    Sent "CARD_SENT" Array None, u32, Count, "Packets and bytes sent to each of the backends, by the same index.";
    Counts "CARD_COUNTS" Array Some(1), u32, CardCounts, "What became of the packets.";
}
