use crate::abi::{Plain, Shared64};
use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

#[repr(C, align(64))]
#[derive(Default, Clone)]
struct Line([Shared64; 8]);

/// The memory of one table: words, aligned as a kernel map is.
#[derive(Default, Clone)]
pub struct Memory {
    lines: Vec<Line>,
    words: usize,
}

impl Memory {
    /// Zeroed memory of this many words of 64 bits.
    pub fn new(words: usize) -> Self {
        Self { lines: zeroed(words.div_ceil(8)), words }
    }

    /// A copy of other memory.
    pub fn copy_of(words: &[Shared64]) -> Self {
        let memory = Self::new(words.len());
        for (to, from) in memory.words().iter().zip(words) {
            to.set(from.get());
        }
        memory
    }

    /// All words.
    #[allow(unsafe_code)]
    pub fn words(&self) -> &[Shared64] {
        // SAFETY: `Line` is eight words without padding, and `words` of them were allocated.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.words) }
    }

    /// Entry `index`, if the memory has one.
    #[allow(unsafe_code)]
    pub fn entry<T: Plain>(&self, index: u32) -> Option<&T> {
        let at = self.offset::<T>(index)?;
        // SAFETY: in bounds; aligned, because entries are a multiple of their alignment from a start that is
        // aligned to a line; `Plain` takes any bytes.
        Some(unsafe { &*self.lines.as_ptr().cast::<u8>().add(at).cast::<T>() })
    }

    /// Entry `index`, for writing.
    #[allow(unsafe_code)]
    pub fn entry_mut<T: Plain>(&mut self, index: u32) -> Option<&mut T> {
        let at = self.offset::<T>(index)?;
        // SAFETY: as in `entry`, and borrowed exclusively.
        Some(unsafe { &mut *self.lines.as_mut_ptr().cast::<u8>().add(at).cast::<T>() })
    }

    /// Where entry `index` is. All words are cells, so that writing through it is sound as long as no reference
    /// to the entry is alive.
    #[allow(unsafe_code)]
    pub(super) fn entry_pointer<T: Plain>(&self, index: u32) -> Option<*mut T> {
        let at = self.offset::<T>(index)?;
        // SAFETY: in bounds.
        Some(unsafe { self.lines.as_ptr().cast::<u8>().add(at).cast::<T>().cast_mut() })
    }

    fn offset<T>(&self, index: u32) -> Option<usize> {
        const { assert!(align_of::<T>() <= 64 && size_of::<T>().is_multiple_of(align_of::<T>())) };
        let at = (index as usize).checked_mul(size_of::<T>())?;
        (at.checked_add(size_of::<T>())? <= self.words * 8).then_some(at)
    }
}

/// Zeroed lines in one step: a table of translated flows has millions of words.
#[allow(unsafe_code)]
fn zeroed(lines: usize) -> Vec<Line> {
    let layout = match Layout::array::<Line>(lines) {
        Ok(layout) if layout.size() > 0 => layout,
        _ => return Vec::new(),
    };
    // SAFETY: the layout is that of `lines` lines and not empty, and zeros are a line.
    unsafe {
        let start = alloc_zeroed(layout);
        if start.is_null() {
            handle_alloc_error(layout);
        }
        Vec::from_raw_parts(start.cast(), lines, lines)
    }
}
