use super::plain::plain;

/// A budget per CPU and tick, for what the datapath says on its own: events and ICMP answers.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit {
    /// The tick that `used` belongs to.
    pub tick: u32,
    /// How much of the tick's budget is used.
    pub used: u32,
}

impl Limit {
    /// Number of the budget for drop events.
    pub const EVENTS: u32 = 0;
    /// Number of the budget for ICMP answers.
    pub const ICMP: u32 = 1;
    /// Not a budget: a place for numbers that the verifier shall forget.
    pub const SCRATCH: u32 = 2;
    /// Not a budget: the reason (in `tick`) and the service (in `used`) of a drop that the event program shall tell.
    pub const DROPPED: u32 = 3;
    /// Not a budget: the size that fits (in `tick`) and the service (in `used`) of a packet that is too big.
    pub const TOO_BIG: u32 = 4;
    /// How many entries there are.
    pub const COUNT: u32 = 5;
}

plain!(Limit);
