use sluice_datapath::abi::{CardTable, Plain};
use std::{marker::PhantomData, mem::MaybeUninit};

/// A key and its value, as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CardEntry {
    /// Key of a hash table; of an array the index.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

impl CardEntry {
    /// An entry of this table.
    pub fn of<K: Plain, V: Plain>(_: CardTableOf<K, V>, key: &K, value: &V) -> Self {
        Self { key: bytes_of(key), value: bytes_of(value) }
    }

    /// Key and value; none if the sizes are not those of the table.
    pub fn read<K: Plain, V: Plain>(&self, _: CardTableOf<K, V>) -> Option<(K, V)> {
        Some((value_from(&self.key)?, value_from(&self.value)?))
    }
}

/// Entries of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardTableContents {
    /// The table.
    pub table: CardTable,
    /// Its entries.
    pub entries: Vec<CardEntry>,
}

impl CardTableContents {
    /// Contents from typed entries.
    pub fn of<'a, K: Plain, V: Plain>(
        table: CardTableOf<K, V>,
        entries: impl IntoIterator<Item = &'a (K, V)>,
    ) -> Self {
        let entries = entries.into_iter().map(|(key, value)| CardEntry::of(table, key, value));
        Self { table: table.table(), entries: entries.collect() }
    }

    /// The entries, typed; none of them if it is another table.
    pub fn read<K: Plain, V: Plain>(
        &self,
        table: CardTableOf<K, V>,
    ) -> impl Iterator<Item = (K, V)> {
        let entries = if self.table == table.table() { &self.entries[..] } else { &[] };
        entries.iter().filter_map(move |entry| entry.read(table))
    }
}

/// A table of a card together with the types of its keys and values.
pub struct CardTableOf<K, V>(CardTable, PhantomData<fn() -> (K, V)>);

impl<K: Plain, V: Plain> CardTableOf<K, V> {
    /// Refuses, at compile time where it is a constant, types of other sizes than the table's.
    const fn new(table: CardTable) -> Self {
        assert!(size_of::<K>() == table.key_size() && size_of::<V>() == table.value_size());
        Self(table, PhantomData)
    }
}

impl<K, V> CardTableOf<K, V> {
    /// The table.
    pub const fn table(self) -> CardTable {
        self.0
    }
}

impl<K, V> Clone for CardTableOf<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for CardTableOf<K, V> {}

/// The tables of a card with the types of their keys and values.
pub mod card_tables {
    use super::CardTableOf;
    use sluice_datapath::abi::{
        CardBackend, CardCounts, CardPrefix, CardPrefixKey4, CardPrefixKey6, CardService,
        CardServiceKey4, CardServiceKey6, CardSettings, CardSlot, CardTable, Count,
    };

    macro_rules! typed {
        ($($name:ident $table:ident $key:ty, $value:ty;)+) => {
            $(
                #[doc = concat!("[`CardTable::", stringify!($table), "`].")]
                pub const $name: CardTableOf<$key, $value> = CardTableOf::new(CardTable::$table);
            )+

            #[test]
            fn every_table_of_a_card_has_its_types() {
                assert_eq!([$($name.table()),+], *CardTable::ALL);
                $(assert_eq!($name.table().name(), concat!("CARD_", stringify!($name)));)+
            }
        };
    }

    typed! {
        SETTINGS Settings u32, CardSettings;
        PREFIXES4 Prefixes4 CardPrefixKey4, CardPrefix;
        PREFIXES6 Prefixes6 CardPrefixKey6, CardPrefix;
        SERVICES4 Services4 CardServiceKey4, CardService;
        SERVICES6 Services6 CardServiceKey6, CardService;
        SLOTS Slots u32, CardSlot;
        BACKENDS Backends u32, CardBackend;
        SENT Sent u32, Count;
        COUNTS Counts u32, CardCounts;
    }
}

/// The bytes of a value.
pub(crate) fn bytes_of<T: Plain>(value: &T) -> Vec<u8> {
    // SAFETY: a live value of that size; `Plain` types have no padding, so every byte is initialised.
    #[allow(unsafe_code)]
    let bytes = unsafe {
        std::slice::from_raw_parts(std::ptr::from_ref(value).cast::<u8>(), size_of::<T>())
    };
    bytes.to_vec()
}

/// The value that these bytes are; none if they are too few or too many.
pub(crate) fn value_from<T: Plain>(bytes: &[u8]) -> Option<T> {
    if bytes.len() != size_of::<T>() {
        return None;
    }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: as many bytes as the value has, to its own memory; any bytes are a value of a `Plain` type.
    #[allow(unsafe_code)]
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), value.as_mut_ptr().cast(), bytes.len());
        Some(value.assume_init())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_datapath::abi::{CardPrefixKey4, CardService, CardServiceKey4, CardSlot};

    #[test]
    fn what_becomes_bytes_is_read_again() {
        let key = CardServiceKey4 { address: 7, port: 80 };
        let service = CardService { base: 4, mask: 3, service: 9, ..Default::default() };
        let entry = CardEntry::of(card_tables::SERVICES4, &key, &service);
        assert_eq!(entry.read(card_tables::SERVICES4), Some((key, service)));
        assert_eq!(entry.read(card_tables::SLOTS), None, "another size");
        assert_eq!(value_from::<CardPrefixKey4>(&[0; 9]), None);
    }

    #[test]
    fn contents_are_those_of_one_table() {
        let slots = [(0u32, CardSlot::new(3)), (1, CardSlot::EMPTY)];
        let contents = CardTableContents::of(card_tables::SLOTS, &slots);
        assert!(contents.read(card_tables::SLOTS).eq(slots));
        assert_eq!(contents.read(card_tables::SENT).count(), 0);
    }
}
