use super::Memory;
use crate::{
    Step, Tables,
    abi::{
        Address, Backend, BackendCount, Count, Event, FragmentLine, Limit, Move, NatRecord,
        NatTags, Plain, PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6,
        PrefilterHit, PrefilterLine4, PrefilterLine6, Reason, RememberedLine, Service,
        ServiceCounts, Settings, Shared64, SourceRange4, SourceRange6, Table, VipLine,
    },
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// All tables in memory, with one 'CPU', settings and a clock that the owner sets.
#[derive(Default)]
pub struct MemoryTables {
    /// The program's constants.
    pub settings: Settings,
    /// What [`Tables::now`] says.
    pub tick: Cell<u32>,
    /// Events, in order.
    pub events: RefCell<Vec<Event>>,
    shared: BTreeMap<Table, Memory>,
    per_cpu: BTreeMap<Table, RefCell<Memory>>,
}

impl MemoryTables {
    /// Tables of these numbers of entries; tables not named have none.
    pub fn new(settings: Settings, entries: impl IntoIterator<Item = (Table, u32)>) -> Self {
        let mut tables = Self { settings, ..Self::default() };
        for (table, count) in entries {
            let memory = Memory::new(count as usize * table.value_size() / 8);
            match table.kind() {
                crate::abi::TableKind::Shared => {
                    tables.shared.insert(table, memory);
                }
                crate::abi::TableKind::PerCpu => {
                    tables.per_cpu.insert(table, RefCell::new(memory));
                }
                crate::abi::TableKind::Ring => {}
            }
        }
        tables
    }

    /// Gives a table of kind `Shared` this content.
    pub fn set_shared(&mut self, table: Table, memory: Memory) {
        self.shared.insert(table, memory);
    }

    /// The words of a table of kind `Shared`; none if it has no entries.
    pub fn words(&self, table: Table) -> &[Shared64] {
        self.shared.get(&table).map_or(&[], Memory::words)
    }

    /// An entry of a table of kind `Shared`.
    pub fn entry<T: Plain>(&self, table: Table, index: u32) -> Option<&T> {
        debug_assert_eq!(size_of::<T>(), table.value_size());
        self.shared.get(&table)?.entry(index)
    }

    /// An entry of a table of kind `Shared`, for writing.
    pub fn entry_mut<T: Plain>(&mut self, table: Table, index: u32) -> Option<&mut T> {
        debug_assert_eq!(size_of::<T>(), table.value_size());
        self.shared.get_mut(&table)?.entry_mut(index)
    }

    /// Runs `read` on an entry of a table of kind `PerCpu`.
    pub fn with<T: Plain, R>(
        &self,
        table: Table,
        index: u32,
        read: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        debug_assert_eq!(size_of::<T>(), table.value_size());
        self.per_cpu.get(&table)?.borrow_mut().entry_mut(index).map(read)
    }

    /// Packets and bytes counted for a reason.
    pub fn count(&self, reason: Reason) -> Count {
        self.with(Table::Counts, reason as u32, |count: &mut Count| *count).unwrap_or_default()
    }
}

macro_rules! entries {
    ($($method:ident $table:ident $value:ty;)+) => {
        $(fn $method(&self, index: u32) -> Option<&$value> {
            self.entry(Table::$table, index)
        })+
    };
}

macro_rules! per_cpu {
    ($($method:ident $table:ident $value:ty;)+) => {
        $(fn $method(&self, index: u32, write: impl FnOnce(&mut $value)) {
            self.with(Table::$table, index, write);
        })+
    };
}

impl Tables for MemoryTables {
    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn now(&self) -> u32 {
        self.tick.get()
    }

    fn forget(&self, number: usize) -> usize {
        number
    }

    fn repeat<S: Step>(&self, count: u32, state: &mut S) {
        for index in 0..count {
            if !state.step(self, index) {
                break;
            }
        }
    }

    entries! {
        vip4 Vip4 VipLine;
        vip6 Vip6 VipLine;
        port_range PortRanges PortRange;
        service Services Service;
        slot Slots Shared64;
        slot_move Moves Move;
        backend Backends Backend;
        source4 Sources4 SourceRange4;
        source6 Sources6 SourceRange6;
        remembered Remembered RememberedLine;
        fragments Fragments FragmentLine;
        nat_pool NatPool Address;
        nat_tags NatTags NatTags;
        nat_record NatRecords NatRecord;
        prefilter4_header Prefilter4Header PrefilterHeader4;
        prefilter4_bitmap Prefilter4Bitmap Shared64;
        prefilter4_line Prefilter4Lines PrefilterLine4;
        prefilter6_header Prefilter6Header PrefilterHeader6;
        prefilter6_bitmap Prefilter6Bitmap Shared64;
        prefilter6_line Prefilter6Lines PrefilterLine6;
    }

    fn prefilter_control(&self) -> Option<&PrefilterControl> {
        self.entry(Table::PrefilterControl, 0)
    }

    #[allow(unsafe_code)]
    fn claim_nat_record(&self, index: u32, write: impl FnOnce(&mut NatRecord)) -> bool {
        let memory = self.shared.get(&Table::NatRecords);
        let Some(record) = memory.and_then(|memory| memory.entry_pointer(index)) else {
            return false;
        };
        // SAFETY: the type isn't `Sync`, so no other thread is here, and no stage keeps a reference to a
        // record over a claim.
        write(unsafe { &mut *record });
        true
    }

    per_cpu! {
        with_count Counts Count;
        with_backend_count BackendCounts BackendCount;
        with_service_counts ServiceCounts ServiceCounts;
        with_prefilter_hit PrefilterHits PrefilterHit;
        with_limit Limits Limit;
    }

    fn emit(&self, event: &Event) {
        self.events.borrow_mut().push(*event);
    }
}
