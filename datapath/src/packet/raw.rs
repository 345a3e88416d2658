use super::Packet;
use crate::{abi::Plain, opaque::settle};

/// What a program context offers besides the bytes: where they are, and helpers to move their bounds.
pub trait Head {
    /// Address of the first byte.
    fn data(&self) -> usize;
    /// Address after the last byte.
    fn data_end(&self) -> usize;
    /// Moves the start; false if the kernel refuses.
    fn adjust_head(&self, delta: i32) -> bool;
    /// Moves the end; false if the kernel refuses.
    fn adjust_tail(&self, delta: i32) -> bool;
}

/// A packet between two addresses, in the form that the verifier follows: pointer, offset, comparison with the
/// end, access.
pub struct RawPacket<'a, H> {
    head: &'a H,
    start: usize,
    end: usize,
}

impl<'a, H: Head> RawPacket<'a, H> {
    /// The packet of a program context.
    #[inline(always)]
    pub fn new(head: &'a H) -> Self {
        Self { head, start: head.data(), end: head.data_end() }
    }

    #[inline(always)]
    fn locate<T>(&self, offset: usize) -> Option<*mut T> {
        const { assert!(align_of::<T>() <= 2) };
        // The verifier accepts a variable offset only while it is provably small.
        if offset > MAX_OFFSET {
            return None;
        }
        let at = settle(self.start + offset);
        // SAFETY: frames don't begin at the first address. The compiler knows nothing of `at` any more, and would ask
        // once more wherever a header is optional.
        #[allow(unsafe_code)]
        unsafe {
            core::hint::assert_unchecked(at != 0);
        }
        if at + size_of::<T>() > self.end {
            return None;
        }
        Some(at as *mut T)
    }

    #[inline(always)]
    fn reload(&mut self) {
        self.start = self.head.data();
        self.end = self.head.data_end();
    }
}

/// Farther than any header that a stage reads.
const MAX_OFFSET: usize = 0x3fff;

impl<H: Head> Packet for RawPacket<'_, H> {
    #[inline(always)]
    fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn at<T: Plain>(&self, offset: usize) -> Option<&T> {
        // SAFETY: in bounds, aligned (see `Packet`); `Plain` takes any bytes; borrowed from the packet.
        self.locate(offset).map(|at| unsafe { &*at })
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    fn at_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T> {
        // SAFETY: as in `at`.
        self.locate(offset).map(|at| unsafe { &mut *at })
    }

    #[inline(always)]
    fn adjust_head(&mut self, delta: i32) -> bool {
        let moved = self.head.adjust_head(delta);
        self.reload();
        moved
    }

    #[inline(always)]
    fn adjust_tail(&mut self, delta: i32) -> bool {
        let moved = self.head.adjust_tail(delta);
        self.reload();
        moved
    }
}
