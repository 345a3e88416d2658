use std::time::Duration;

/// The datapath's coarse clock, as it was when the facts were gathered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Ticks from an arbitrary start, wrapping.
    pub tick: u32,
    /// How long a tick is.
    pub tick_duration: Duration,
    /// A tick is this power of two of the kernel's jiffies; the programs are told.
    pub tick_shift: u32,
}

impl Clock {
    /// The longest time that can be told from a time in the future: half of the clock's period.
    pub const MAX_TICKS: u32 = i32::MAX as u32;

    /// A time in ticks, rounded up.
    #[must_use]
    pub fn ticks(&self, time: Duration) -> u32 {
        let tick = self.tick_duration.as_nanos().max(1);
        u32::try_from(time.as_nanos().div_ceil(tick)).unwrap_or(u32::MAX).min(Self::MAX_TICKS)
    }

    /// Ticks since `then`. The datapath's clock may be ahead of this one; that is no time at all.
    #[must_use]
    pub fn since(&self, then: u32) -> u32 {
        let age = self.tick.wrapping_sub(then);
        if age > Self::MAX_TICKS { 0 } else { age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(tick: u32) -> Clock {
        Clock { tick, tick_duration: Duration::from_millis(256), tick_shift: 6 }
    }

    #[test]
    fn times_are_rounded_up_to_ticks() {
        let clock = clock(0);
        assert_eq!(clock.ticks(Duration::ZERO), 0);
        assert_eq!(clock.ticks(Duration::from_millis(256)), 1);
        assert_eq!(clock.ticks(Duration::from_millis(257)), 2);
        assert_eq!(clock.ticks(Duration::MAX), Clock::MAX_TICKS);
    }

    #[test]
    fn ages_survive_the_wrap_and_a_datapath_that_is_ahead() {
        assert_eq!(clock(3).since(u32::MAX), 4);
        assert_eq!(clock(3).since(4), 0);
    }
}
