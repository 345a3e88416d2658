use sluice_datapath::abi::{Plain, Shared64, Table};
use std::{marker::PhantomData, mem::MaybeUninit};

/// A table together with the type of its entries.
pub struct TableOf<T>(Table, PhantomData<fn() -> T>);

impl<T: Plain + Clone> TableOf<T> {
    /// Refuses, at compile time where it is a constant, a type of another size than the table's entries.
    const fn new(table: Table) -> Self {
        assert!(size_of::<T>() == table.value_size());
        Self(table, PhantomData)
    }

    /// The table.
    pub const fn table(self) -> Table {
        self.0
    }
}

impl<T> Clone for TableOf<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for TableOf<T> {}

/// An entry of [`Table::ServiceNames`]: the words of a name.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServiceName(pub [u64; 8]);

// SAFETY: words, without padding.
#[allow(unsafe_code)]
unsafe impl Plain for ServiceName {}

/// The tables that user space maps, with the types of their entries.
pub mod tables {
    use super::{ServiceName, TableOf};
    use sluice_datapath::abi::{
        Address, Backend, FragmentLine, Move, NatRecord, NatTags, PortRange, PrefilterControl,
        PrefilterHeader4, PrefilterHeader6, PrefilterLine4, PrefilterLine6, RememberedLine,
        Service, Shared64, SourceRange4, SourceRange6, Table, VipLine,
    };

    macro_rules! shared {
        ($($name:ident $table:ident $value:ty;)+) => {
            $(
                #[doc = concat!("[`Table::", stringify!($table), "`].")]
                pub const $name: TableOf<$value> = TableOf::new(Table::$table);
            )+

            #[test]
            fn every_shared_table_has_its_type() {
                use sluice_datapath::abi::TableKind;
                let shared = Table::ALL.iter().filter(|t| t.kind() == TableKind::Shared).count();
                assert_eq!([$($name.table()),+].len(), shared);
                $(assert_eq!($name.table().name(), stringify!($name));)+
            }
        };
    }

    shared! {
        VIP4 Vip4 VipLine;
        VIP6 Vip6 VipLine;
        PORT_RANGES PortRanges PortRange;
        SERVICES Services Service;
        SERVICE_NAMES ServiceNames ServiceName;
        SLOTS Slots Shared64;
        MOVES Moves Move;
        BACKENDS Backends Backend;
        SOURCES4 Sources4 SourceRange4;
        SOURCES6 Sources6 SourceRange6;
        REMEMBERED Remembered RememberedLine;
        FRAGMENTS Fragments FragmentLine;
        NAT_POOL NatPool Address;
        NAT_TAGS NatTags NatTags;
        NAT_RECORDS NatRecords NatRecord;
        PF_CONTROL PrefilterControl PrefilterControl;
        PF4_HEADER Prefilter4Header PrefilterHeader4;
        PF4_BITMAP Prefilter4Bitmap Shared64;
        PF4_LINES Prefilter4Lines PrefilterLine4;
        PF6_HEADER Prefilter6Header PrefilterHeader6;
        PF6_BITMAP Prefilter6Bitmap Shared64;
        PF6_LINES Prefilter6Lines PrefilterLine6;
    }
}

/// A table as entries of one type. Entries are written in ascending words, each word by one aligned store and
/// only if it differs: the datapath never sees half a word, and a word that stays costs no cache line.
pub struct View<'a, T> {
    words: &'a [Shared64],
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Plain + Clone> View<'a, T> {
    const WORDS: usize = {
        assert!(size_of::<T>().is_multiple_of(8) && size_of::<T>() > 0);
        size_of::<T>() / 8
    };

    /// Reads words as entries.
    pub fn new(words: &'a [Shared64]) -> Self {
        Self { words, of: PhantomData }
    }

    /// How many entries there are.
    pub fn len(&self) -> u32 {
        (self.words.len() / Self::WORDS) as u32
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words of an entry.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn words(&self, index: u32) -> &'a [Shared64] {
        &self.words[index as usize * Self::WORDS..][..Self::WORDS]
    }

    /// Reads an entry, word by word.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn read(&self, index: u32) -> T {
        value_of(self.words(index).iter().map(Shared64::get))
    }

    /// Writes an entry; whether something changed.
    ///
    /// # Panics
    /// If there is no such entry.
    pub fn write(&self, index: u32, value: &T) -> bool {
        // A copy of our own: the value may hold shared words that others write meanwhile.
        let value = value.clone();
        let at = (&raw const value).cast::<u64>();
        let mut changed = false;
        for (i, word) in self.words(index).iter().enumerate() {
            // SAFETY: in bounds as in `read`; `Plain` types have no padding, so every byte is initialised.
            #[allow(unsafe_code)]
            let new = unsafe { at.add(i).read_unaligned() };
            if word.get() != new {
                word.set(new);
                changed = true;
            }
        }
        changed
    }

    /// Writes consecutive entries from `first` on; how many changed.
    ///
    /// # Panics
    /// If there are not that many entries.
    pub fn write_all(&self, first: u32, values: &[T]) -> u32 {
        let mut changed = 0;
        for (index, value) in (first..).zip(values) {
            changed += u32::from(self.write(index, value));
        }
        changed
    }

    /// Writes the same value to every entry.
    pub fn fill(&self, value: &T) {
        for index in 0..self.len() {
            self.write(index, value);
        }
    }

    /// Reads all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<'a, T> {
        let view = Self::new(self.words);
        (0..view.len()).map(move |index| view.read(index))
    }
}

/// The value that these words are; words that are missing are zero.
pub(crate) fn value_of<T: Plain>(words: impl Iterator<Item = u64>) -> T {
    let mut value = MaybeUninit::<T>::zeroed();
    let at = value.as_mut_ptr().cast::<u64>();
    for (i, word) in words.take(size_of::<T>() / 8).enumerate() {
        // SAFETY: no more words than fit into the value, and the write needs no alignment.
        #[allow(unsafe_code)]
        unsafe {
            at.add(i).write_unaligned(word)
        }
    }
    // SAFETY: every byte is written, and any bytes are a value of a `Plain` type.
    #[allow(unsafe_code)]
    unsafe {
        value.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_datapath::abi::{Backend, PortRange, Service, SlotRange};

    fn memory(words: usize) -> Vec<Shared64> {
        (0..words).map(|_| Shared64::new(0)).collect()
    }

    #[test]
    fn what_is_written_is_read() {
        let words = memory(16);
        let view = View::<Backend>::new(&words);
        assert_eq!(view.len(), 2);
        let backend = Backend { ifindex: 7, port: 80, next_hop: [1, 2, 3], ..Default::default() };
        assert!(view.write(1, &backend));
        assert_eq!(view.read(1), backend);
        assert_eq!(view.read(0), Backend::default());
        assert!(!view.write(1, &backend), "the same value changes nothing");
    }

    #[test]
    fn entries_less_aligned_than_a_word_are_read_whole() {
        let words = memory(4);
        let view = View::<PortRange>::new(&words);
        let ranges = [1u32, 5].map(|low| PortRange { low, high: low + 1, service: 9, reserved: 0 });
        assert_eq!(view.write_all(0, &ranges), 2);
        assert_eq!(view.iter().collect::<Vec<_>>(), ranges);
        view.fill(&PortRange::default());
        assert!(words.iter().all(|word| word.get() == 0));
    }

    #[test]
    fn shared_words_in_a_value_are_copied() {
        let words = memory(8);
        let view = View::<Service>::new(&words);
        let service = Service::default();
        service.slots.set(SlotRange { base: 4, mask: 3 }.word());
        assert!(view.write(0, &service));
        assert_eq!(SlotRange::from_word(view.read(0).slots.get()).base, 4);
    }

    #[test]
    #[should_panic]
    fn there_is_no_entry_behind_the_last() {
        let words = memory(8);
        View::<Backend>::new(&words).read(1);
    }
}
