//! The maps of the service stage. The loader sets the real sizes.

use crate::counters::count;
use aya_ebpf::{
    btf_maps::{Array, HashMap},
    macros::btf_map,
};
use sluice_datapath::abi::{
    CardBackend, CardService, CardServiceKey4, CardServiceKey6, CardSlot, Count,
};

#[btf_map]
static CARD_SERVICES4: HashMap<CardServiceKey4, CardService, 1> = HashMap::new();

#[btf_map]
static CARD_SERVICES6: HashMap<CardServiceKey6, CardService, 1> = HashMap::new();

#[btf_map]
static CARD_SLOTS: Array<CardSlot, 1> = Array::new();

#[btf_map]
static CARD_BACKENDS: Array<CardBackend, 1> = Array::new();

#[btf_map]
static CARD_SENT: Array<Count, 1> = Array::new();

#[inline(always)]
pub fn service4(key: &CardServiceKey4) -> Option<&'static CardService> {
    // SAFETY: the program neither inserts nor removes; user space replaces whole entries.
    unsafe { CARD_SERVICES4.get(key) }
}

#[inline(always)]
pub fn service6(key: &CardServiceKey6) -> Option<&'static CardService> {
    // SAFETY: as in `service4`.
    unsafe { CARD_SERVICES6.get(key) }
}

#[inline(always)]
pub fn slot(index: u32) -> Option<&'static CardSlot> {
    CARD_SLOTS.get(index)
}

#[inline(always)]
pub fn backend(index: u32) -> Option<&'static CardBackend> {
    CARD_BACKENDS.get(index)
}

#[inline(always)]
pub fn count_sent(index: u32, bytes: usize) {
    if let Some(sent) = CARD_SENT.get_ptr_mut(index) {
        // SAFETY: a value of a map.
        unsafe { count(sent, bytes) }
    }
}

/// The methods of `CardTables` for the service stage.
#[macro_export]
macro_rules! service_tables {
    () => {
        #[inline(always)]
        fn service4(
            &self,
            key: &sluice_datapath::abi::CardServiceKey4,
        ) -> Option<&sluice_datapath::abi::CardService> {
            $crate::services::service4(key)
        }

        #[inline(always)]
        fn service6(
            &self,
            key: &sluice_datapath::abi::CardServiceKey6,
        ) -> Option<&sluice_datapath::abi::CardService> {
            $crate::services::service6(key)
        }

        #[inline(always)]
        fn slot(&self, index: u32) -> Option<&sluice_datapath::abi::CardSlot> {
            $crate::services::slot(index)
        }

        #[inline(always)]
        fn backend(&self, index: u32) -> Option<&sluice_datapath::abi::CardBackend> {
            $crate::services::backend(index)
        }

        #[inline(always)]
        fn count_sent(&self, backend: u32, bytes: usize) {
            $crate::services::count_sent(backend, bytes);
        }
    };
}
