use super::plain::plain;
use core::cell::UnsafeCell;

/// A word that several CPUs, or the datapath and user space, read and write. Accesses are relaxed: each word
/// stands for itself, no order between words is promised.
#[repr(transparent)]
pub struct Shared32(UnsafeCell<u32>);

/// [`Shared32`] of 64 bits.
#[repr(transparent)]
pub struct Shared64(UnsafeCell<u64>);

plain!(Shared32, Shared64);

macro_rules! shared {
    ($shared:ident, $word:ty, $atomic:ident, $exchange:ident) => {
        // SAFETY: every access goes through relaxed atomic (or, in BPF, volatile word) operations.
        #[allow(unsafe_code)]
        unsafe impl Sync for $shared {}
        // SAFETY: as for `Sync`.
        #[allow(unsafe_code)]
        unsafe impl Send for $shared {}

        impl $shared {
            /// A word with this value.
            pub const fn new(value: $word) -> Self {
                Self(UnsafeCell::new(value))
            }

            /// Reads the word.
            #[inline(always)]
            pub fn get(&self) -> $word {
                #[cfg(target_arch = "bpf")]
                #[allow(unsafe_code)]
                // SAFETY: the reference is to a live, aligned word; the machine reads words whole.
                unsafe {
                    self.0.get().read_volatile()
                }
                #[cfg(not(target_arch = "bpf"))]
                self.atomic().load(core::sync::atomic::Ordering::Relaxed)
            }

            /// Writes the word.
            #[inline(always)]
            pub fn set(&self, value: $word) {
                #[cfg(target_arch = "bpf")]
                #[allow(unsafe_code)]
                // SAFETY: as in `get`.
                unsafe {
                    self.0.get().write_volatile(value)
                }
                #[cfg(not(target_arch = "bpf"))]
                self.atomic().store(value, core::sync::atomic::Ordering::Relaxed)
            }

            /// Writes the word if it differs: a write that isn't needed would take the cache line away
            /// from the other CPUs.
            #[inline(always)]
            pub fn refresh(&self, value: $word) {
                if self.get() != value {
                    self.set(value);
                }
            }

            /// Puts `new` where `old` is; false if another value stands there.
            #[inline(always)]
            pub fn replace(&self, old: $word, new: $word) -> bool {
                #[cfg(target_arch = "bpf")]
                #[allow(unsafe_code)]
                // SAFETY: as in `get`; the instruction touches this word only.
                unsafe {
                    $exchange(self.0.get(), old, new) == old
                }
                #[cfg(not(target_arch = "bpf"))]
                {
                    use core::sync::atomic::Ordering::Relaxed;
                    self.atomic().compare_exchange(old, new, Relaxed, Relaxed).is_ok()
                }
            }

            #[cfg(not(target_arch = "bpf"))]
            #[allow(unsafe_code)]
            fn atomic(&self) -> &core::sync::atomic::$atomic {
                // SAFETY: same size and alignment, and all accesses are atomic.
                unsafe { core::sync::atomic::$atomic::from_ptr(self.0.get()) }
            }
        }

        impl Default for $shared {
            fn default() -> Self {
                Self::new(0)
            }
        }

        impl Clone for $shared {
            fn clone(&self) -> Self {
                Self::new(self.get())
            }
        }

        impl core::fmt::Debug for $shared {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.get().fmt(f)
            }
        }
    };
}

shared!(Shared32, u32, AtomicU32, exchange32);
shared!(Shared64, u64, AtomicU64, exchange64);

// The target declares no atomic read-modify-write operations, although BPF v3 has these.
#[cfg(target_arch = "bpf")]
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn exchange64(at: *mut u64, old: u64, new: u64) -> u64 {
    let found;
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({at} + 0, r0, {new})",
            at = in(reg) at,
            new = in(reg) new,
            inout("r0") old => found,
        );
    }
    found
}

#[cfg(target_arch = "bpf")]
#[inline(always)]
#[allow(unsafe_code)]
unsafe fn exchange32(at: *mut u32, old: u32, new: u32) -> u32 {
    let found: u64;
    // SAFETY: the caller vouches for the pointer.
    unsafe {
        core::arch::asm!(
            "w0 = cmpxchg32_32({at} + 0, w0, {new})",
            at = in(reg) at,
            new = in(wreg) new,
            inout("r0") u64::from(old) => found,
        );
    }
    found as u32
}
