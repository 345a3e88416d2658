//! The maps of the prefilter. The loader sets the real sizes.

use crate::counters::count;
use aya_ebpf::{btf_maps::HashMap, macros::btf_map};
use sluice_datapath::abi::{CardPrefix, CardPrefixKey4, CardPrefixKey6, PrefilterWord};

#[btf_map]
static CARD_PREFIXES4: HashMap<CardPrefixKey4, CardPrefix, 1> = HashMap::new();

#[btf_map]
static CARD_PREFIXES6: HashMap<CardPrefixKey6, CardPrefix, 1> = HashMap::new();

#[inline(always)]
pub fn prefix4(key: &CardPrefixKey4, bytes: usize) -> Option<PrefilterWord> {
    // SAFETY: a value of a map.
    CARD_PREFIXES4.get_ptr_mut(key).map(|prefix| unsafe { decide(prefix, bytes) })
}

#[inline(always)]
pub fn prefix6(key: &CardPrefixKey6, bytes: usize) -> Option<PrefilterWord> {
    // SAFETY: a value of a map.
    CARD_PREFIXES6.get_ptr_mut(key).map(|prefix| unsafe { decide(prefix, bytes) })
}

/// Counts a packet for the prefix that decides on it.
#[inline(always)]
unsafe fn decide(prefix: *mut CardPrefix, bytes: usize) -> PrefilterWord {
    // SAFETY: the caller passes a value of a map.
    unsafe {
        count(&raw mut (*prefix).count, bytes);
        (*prefix).word
    }
}

/// The methods of `CardTables` for the prefilter.
#[macro_export]
macro_rules! prefix_tables {
    () => {
        #[inline(always)]
        fn prefix4(
            &self,
            key: &sluice_datapath::abi::CardPrefixKey4,
            bytes: usize,
        ) -> Option<sluice_datapath::abi::PrefilterWord> {
            $crate::prefixes::prefix4(key, bytes)
        }

        #[inline(always)]
        fn prefix6(
            &self,
            key: &sluice_datapath::abi::CardPrefixKey6,
            bytes: usize,
        ) -> Option<sluice_datapath::abi::PrefilterWord> {
            $crate::prefixes::prefix6(key, bytes)
        }
    };
}
