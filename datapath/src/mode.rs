/// Which code a program has: the stages are compiled once for each.
pub(crate) struct Mode;

impl Mode {
    /// The fast program: both ways to deliver, but nothing that is rare.
    pub(crate) const FAST: u8 = 0;
    /// Everything about tunnels.
    pub(crate) const TUNNEL: u8 = 1;
    /// Everything about translation but the beginning of flows.
    pub(crate) const NAT: u8 = 2;
    /// The beginning of translated flows.
    pub(crate) const OPEN: u8 = 3;
}
