//! Bounded access to one packet, and the headers in it.

mod checksum;
#[cfg(any(test, feature = "std"))]
mod memory;
mod raw;
pub mod wire;

pub use checksum::Delta;
#[cfg(any(test, feature = "std"))]
pub use memory::{HEADROOM, MemoryPacket};
pub use raw::{Head, RawPacket};

use crate::abi::Plain;

/// Bounds-checked access to one packet.
///
/// `T` has alignment 2 or less and packets start on an even address, so that a header at an even offset is a
/// valid reference. Every access borrows the packet, so no header reference outlives a change of the head: the
/// compiler enforces the rule that the verifier has.
#[allow(clippy::len_without_is_empty)]
pub trait Packet {
    /// Length of the frame in bytes.
    fn len(&self) -> usize;

    /// A header at this offset from the start of the frame, if all of it is in the frame.
    fn at<T: Plain>(&self, offset: usize) -> Option<&T>;

    /// [`Packet::at`], for writing.
    fn at_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T>;

    /// Moves the start of the frame by `delta` bytes (even): negative grows the frame by bytes of unspecified
    /// content. On `false` the frame is unchanged.
    fn adjust_head(&mut self, delta: i32) -> bool;

    /// Moves the end of the frame by `delta` bytes (negative: shortens). On `false` it is unchanged.
    fn adjust_tail(&mut self, delta: i32) -> bool;
}
