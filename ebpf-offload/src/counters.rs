//! Counters that all packets share: a card has no maps per CPU.

use core::arch::asm;
use sluice_datapath::abi::Count;

/// Counts a packet of `bytes` bytes.
///
/// # Safety
/// `count` points into a value of a map.
#[inline(always)]
pub unsafe fn count(count: *mut Count, bytes: usize) {
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        add(&raw mut (*count).packets, 1);
        add(&raw mut (*count).bytes, bytes as u64);
    }
}

/// Adds to a counter. The target declares no atomic operations, although BPF has this one.
///
/// # Safety
/// `to` points into a value of a map.
#[inline(always)]
pub unsafe fn add(to: *mut u64, number: u64) {
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        asm!("lock *(u64 *)({to} + 0) += {number}", to = in(reg) to, number = in(reg) number);
    }
}
