use crate::abi::{Count, plain::plain};

/// What became of the packets that the card saw. One entry, because a table may have room for no more than two.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CardCounts {
    /// Sent to backends: [`crate::abi::Reason::SentEncapsulated`].
    pub sent: Count,
    /// Dropped: [`crate::abi::Reason::DropDenied`].
    pub denied: Count,
    /// Passed to the host because the card takes no such packets: tagged, fragmented, malformed, another protocol,
    /// a family whose stages are off.
    pub unfit: u64,
    /// Passed to the host because nothing on the card concerns them.
    pub missed: u64,
    /// Passed to the host although their service is on the card: a sampled flow that begins, a packet that is too
    /// long, a slot without a backend, no room for the outer header.
    pub deferred: u64,
}

plain!(CardCounts);
const _: () = assert!(size_of::<CardCounts>() == 56);
