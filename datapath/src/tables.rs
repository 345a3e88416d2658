use crate::abi::{
    Address, Backend, BackendCount, Count, Event, FragmentLine, Limit, Move, NatRecord, NatTags,
    PortRange, PrefilterControl, PrefilterHeader4, PrefilterHeader6, PrefilterHit, PrefilterLine4,
    PrefilterLine6, RememberedLine, Service, ServiceCounts, Settings, Shared64, SourceRange4,
    SourceRange6, VipLine,
};

/// One turn of a loop that the verifier checks once, however many turns it has.
pub trait Step {
    /// Does turn `index`; false ends the loop.
    fn step<T: Tables>(&mut self, tables: &T, index: u32) -> bool;
}

/// The tables and the surroundings that the stages work on. An index outside a table gives `None`.
#[allow(missing_docs)]
pub trait Tables {
    /// The program's constants. Read field by field: each read is a constant to the verifier.
    fn settings(&self) -> &Settings;
    /// The coarse clock: ticks of [`Settings::tick_shift`], from an arbitrary start, wrapping.
    fn now(&self) -> u32;

    /// The same number, but one that the verifier knows nothing about: packets that differ in it become one case.
    fn forget(&self, number: usize) -> usize;

    /// Calls [`Step::step`] with 0, 1, .. until it returns false or `count` turns are done.
    fn repeat<S: Step>(&self, count: u32, state: &mut S);

    fn vip4(&self, index: u32) -> Option<&VipLine>;
    fn vip6(&self, index: u32) -> Option<&VipLine>;
    fn port_range(&self, index: u32) -> Option<&PortRange>;
    fn service(&self, index: u32) -> Option<&Service>;
    fn slot(&self, index: u32) -> Option<&Shared64>;
    fn slot_move(&self, index: u32) -> Option<&Move>;
    fn backend(&self, id: u32) -> Option<&Backend>;
    fn source4(&self, index: u32) -> Option<&SourceRange4>;
    fn source6(&self, index: u32) -> Option<&SourceRange6>;
    fn remembered(&self, index: u32) -> Option<&RememberedLine>;
    fn fragments(&self, index: u32) -> Option<&FragmentLine>;
    fn nat_pool(&self, index: u32) -> Option<&Address>;
    fn nat_tags(&self, index: u32) -> Option<&NatTags>;
    fn nat_record(&self, index: u32) -> Option<&NatRecord>;
    /// Runs `write` on a NAT record that the caller has claimed and nobody else writes.
    fn claim_nat_record(&self, index: u32, write: impl FnOnce(&mut NatRecord)) -> bool;
    fn prefilter_control(&self) -> Option<&PrefilterControl>;
    fn prefilter4_header(&self, half: u32) -> Option<&PrefilterHeader4>;
    fn prefilter4_bitmap(&self, word: u32) -> Option<&Shared64>;
    fn prefilter4_line(&self, index: u32) -> Option<&PrefilterLine4>;
    fn prefilter6_header(&self, half: u32) -> Option<&PrefilterHeader6>;
    fn prefilter6_bitmap(&self, word: u32) -> Option<&Shared64>;
    fn prefilter6_line(&self, index: u32) -> Option<&PrefilterLine6>;

    // Per CPU: the closure runs on this CPU's copy, which nobody else writes.
    fn with_count(&self, reason: u32, write: impl FnOnce(&mut Count));
    fn with_backend_count(&self, id: u32, write: impl FnOnce(&mut BackendCount));
    fn with_service_counts(&self, service: u32, write: impl FnOnce(&mut ServiceCounts));
    fn with_prefilter_hit(&self, index: u32, write: impl FnOnce(&mut PrefilterHit));
    fn with_limit(&self, index: u32, write: impl FnOnce(&mut Limit));

    /// Hands an event to user space; lost if the ring is full.
    fn emit(&self, event: &Event);
}
