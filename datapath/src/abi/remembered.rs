use super::{Shared32, Shared64, plain::plain};

/// Flows in one line.
pub const REMEMBERED_WAYS: usize = 5;

/// The table of exceptions: flows that belong to another backend than their slot says now. One cache line
/// per bucket; the bucket is chosen by the flow's hash.
#[repr(C, align(64))]
#[derive(Clone, Debug, Default)]
pub struct RememberedLine {
    /// Tag (40 bits of the flow's hash) above the backend's id (24 bits); zero if free. One word, so that two
    /// CPUs can't mix two flows.
    pub flows: [Shared64; REMEMBERED_WAYS],
    /// Tick in which each was last seen.
    pub seen: [Shared32; REMEMBERED_WAYS],
    /// Zero.
    pub reserved: Shared32,
}

plain!(RememberedLine);
const _: () = assert!(size_of::<RememberedLine>() == 64);
const _: () = assert!(
    core::mem::offset_of!(RememberedLine, reserved) + size_of::<Shared32>()
        == size_of::<RememberedLine>()
);
