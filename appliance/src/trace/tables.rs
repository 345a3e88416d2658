//! Tables that are copied entry by entry as the stages read them, so that a trace costs what it touches and writes only
//! into its own copies.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use elsa::FrozenMap;
use sluice_datapath::abi::{
    Address, Backend, BackendCount, Count, Event, Features, FragmentLine, Limit, Move, NatRecord,
    NatTags, Plain, PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6, PrefilterHit,
    PrefilterLine4, PrefilterLine6, RememberedLine, Service, ServiceCounts, Settings, Shared64,
    SourceRange4, SourceRange6, VipLine,
};
use sluice_datapath::{Step, Tables};
use sluice_kernel::{TableOf, TableStore, tables};

/// Copies of the entries that were read. The key is the index, with the number of times the entry was replaced.
type Copies<T> = FrozenMap<(u32, u32), Box<T>>;

macro_rules! overlay {
    ($($method:ident $table:ident $value:ty;)+) => {
        #[derive(Default)]
        struct Entries {
            $($method: Copies<$value>,)+
        }

        impl Tables for Overlay {
            fn settings(&self) -> &Settings {
                &self.settings
            }

            fn now(&self) -> u32 {
                self.tick
            }

            $(fn $method(&self, index: u32) -> Option<&$value> {
                self.entry(&self.entries.$method, tables::$table, (index, 0))
            })+

            fn prefilter_control(&self) -> Option<&PrefilterControl> {
                self.entry(&self.control, tables::PF_CONTROL, (0, 0))
            }

            fn nat_record(&self, index: u32) -> Option<&NatRecord> {
                let times = self.claims.borrow().get(&index).copied().unwrap_or(0);
                self.entry(&self.records, tables::NAT_RECORDS, (index, times))
            }

            fn claim_nat_record(&self, index: u32, write: impl FnOnce(&mut NatRecord)) -> bool {
                let Some(mut record) = self.nat_record(index).cloned() else { return false };
                write(&mut record);
                let mut claims = self.claims.borrow_mut();
                let times = claims.entry(index).or_default();
                *times += 1;
                self.records.insert((index, *times), Box::new(record));
                true
            }

            fn with_count(&self, _: u32, write: impl FnOnce(&mut Count)) {
                write(&mut Count::default());
            }

            fn with_backend_count(&self, _: u32, write: impl FnOnce(&mut BackendCount)) {
                write(&mut BackendCount::default());
            }

            fn with_service_counts(&self, _: u32, write: impl FnOnce(&mut ServiceCounts)) {
                let mut counts = ServiceCounts::default();
                write(&mut counts);
                let mut sums = self.service_counts.get();
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                self.service_counts.set(sums);
            }

            fn with_prefilter_hit(&self, _: u32, write: impl FnOnce(&mut PrefilterHit)) {
                write(&mut PrefilterHit::default());
            }

            fn with_limit(&self, _: u32, write: impl FnOnce(&mut Limit)) {
                write(&mut Limit::default());
            }

            fn emit(&self, _: &Event) {}

            fn forget(&self, number: usize) -> usize {
                number
            }

            fn repeat<S: Step>(&self, count: u32, state: &mut S) {
                (0..count).all(|index| state.step(self, index));
            }
        }
    };
}

overlay! {
    vip4 VIP4 VipLine;
    vip6 VIP6 VipLine;
    port_range PORT_RANGES PortRange;
    service SERVICES Service;
    slot SLOTS Shared64;
    slot_move MOVES Move;
    backend BACKENDS Backend;
    source4 SOURCES4 SourceRange4;
    source6 SOURCES6 SourceRange6;
    remembered REMEMBERED RememberedLine;
    fragments FRAGMENTS FragmentLine;
    nat_pool NAT_POOL Address;
    nat_tags NAT_TAGS NatTags;
    prefilter4_header PF4_HEADER PrefilterHeader4;
    prefilter4_bitmap PF4_BITMAP Shared64;
    prefilter4_line PF4_LINES PrefilterLine4;
    prefilter6_header PF6_HEADER PrefilterHeader6;
    prefilter6_bitmap PF6_BITMAP Shared64;
    prefilter6_line PF6_LINES PrefilterLine6;
}

/// The live tables, with everything that was read or written kept apart.
pub(super) struct Overlay {
    live: Arc<dyn TableStore>,
    settings: Settings,
    tick: u32,
    entries: Entries,
    control: Copies<PrefilterControl>,
    records: Copies<NatRecord>,
    claims: RefCell<HashMap<u32, u32>>,
    service_counts: Cell<ServiceCounts>,
}

impl Overlay {
    pub(super) fn new(live: Arc<dyn TableStore>, settings: Settings, tick: u32) -> Self {
        Self {
            live,
            settings,
            tick,
            entries: Entries::default(),
            control: Copies::default(),
            records: Copies::default(),
            claims: RefCell::default(),
            service_counts: Cell::default(),
        }
    }

    pub(super) fn features(&self) -> Features {
        self.settings.features
    }

    /// What the service counted that is more than delivery.
    pub(super) fn service_counts(&self) -> ServiceCounts {
        self.service_counts.get()
    }

    fn entry<'a, T: Plain + Clone>(
        &self,
        copies: &'a Copies<T>,
        table: TableOf<T>,
        key: (u32, u32),
    ) -> Option<&'a T> {
        if let Some(copy) = copies.get(&key) {
            return Some(copy);
        }
        let view = self.live.view(table);
        (key.0 < view.len()).then(|| copies.insert(key, Box::new(view.read(key.0))))
    }
}
