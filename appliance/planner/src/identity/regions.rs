use std::collections::BTreeMap;

use super::READERS_DONE_TICKS;
use crate::Clock;

/// Consecutive entries of a table that are given out region by region, each in the first hole that fits.
///
/// A region whose length is a power of two stands at a multiple of its length, so that holes fit again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regions {
    /// Free regions below `end`, by first entry; never adjacent.
    holes: BTreeMap<u32, u32>,
    end: u32,
    /// Regions that are no longer used, with the tick in which that began.
    waiting: Vec<(u32, u32, u32)>,
}

impl Regions {
    /// Those of a table in which these regions (first entry and length) are used.
    #[must_use]
    pub fn of(used: impl IntoIterator<Item = (u32, u32)>) -> Self {
        let mut used: Vec<_> = used.into_iter().filter(|&(_, length)| length > 0).collect();
        used.sort_unstable();
        let mut regions = Self::default();
        for (first, length) in used {
            if first > regions.end {
                regions.holes.insert(regions.end, first - regions.end);
            }
            regions.end = regions.end.max(first.saturating_add(length));
        }
        regions
    }

    /// First entry of a region of this length; `None` if the table would have more than 2^32 entries.
    pub fn allocate(&mut self, length: u32) -> Option<u32> {
        if length == 0 {
            return Some(0);
        }
        let align = if length.is_power_of_two() { length } else { 1 };
        let fit = self.holes.iter().find_map(|(&first, &size)| {
            let start = first.checked_next_multiple_of(align)?;
            (u64::from(start) + u64::from(length) <= u64::from(first) + u64::from(size))
                .then_some((first, size, start))
        });
        if let Some((first, size, start)) = fit {
            self.holes.remove(&first);
            self.free(first, start - first);
            self.free(start + length, first + size - (start + length));
            return Some(start);
        }
        // The last hole may reach the end; grow from where it fits.
        let start = self.end.checked_next_multiple_of(align)?;
        let new_end = start.checked_add(length)?;
        let gap = (self.end, start - self.end);
        self.end = new_end;
        self.free(gap.0, gap.1);
        Some(start)
    }

    /// Gives a region back. It is given out again after packets that still read it are done.
    pub fn release(&mut self, first: u32, length: u32, clock: &Clock) {
        if length > 0 {
            self.waiting.push((first, length, clock.tick));
        }
    }

    /// Makes the regions free that were given back long enough ago.
    pub fn reclaim(&mut self, clock: &Clock) {
        let done = |tick| clock.since(tick) >= READERS_DONE_TICKS;
        let (ready, waiting) =
            std::mem::take(&mut self.waiting).into_iter().partition(|&(.., tick)| done(tick));
        self.waiting = waiting;
        let ready: Vec<(u32, u32, u32)> = ready;
        for (first, length, _) in ready {
            self.free(first, length);
        }
    }

    /// One more than the last entry in use: how many entries the table needs.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }

    fn free(&mut self, mut first: u32, mut length: u32) {
        if length == 0 {
            return;
        }
        if let Some((&before, &size)) = self.holes.range(..first).next_back()
            && before + size == first
        {
            self.holes.remove(&before);
            (first, length) = (before, size + length);
        }
        if let Some(size) = self.holes.remove(&(first + length)) {
            length += size;
        }
        if first + length == self.end {
            self.end = first;
        } else {
            self.holes.insert(first, length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn clock(tick: u32) -> Clock {
        Clock { tick, tick_duration: Duration::from_millis(256), tick_shift: 6 }
    }

    #[test]
    fn regions_of_powers_of_two_are_aligned() {
        let mut regions = Regions::default();
        assert_eq!(regions.allocate(1), Some(0));
        assert_eq!(regions.allocate(8), Some(8));
        assert_eq!(regions.allocate(4), Some(4));
        assert_eq!(regions.allocate(3), Some(1));
        assert_eq!(regions.end(), 16);
    }

    #[test]
    fn a_region_is_not_given_out_while_packets_may_read_it() {
        let mut regions = Regions::default();
        let first = regions.allocate(8).unwrap();
        regions.release(first, 8, &clock(10));
        regions.reclaim(&clock(11));
        assert_eq!(regions.allocate(8), Some(8));
        regions.reclaim(&clock(12));
        assert_eq!(regions.allocate(8), Some(0));
    }

    #[test]
    fn a_table_has_an_end() {
        let mut regions = Regions::default();
        assert_eq!(regions.allocate(1 << 31), Some(0));
        assert_eq!(regions.allocate(1 << 31), None);
    }

    #[test]
    fn empty_regions_are_nowhere() {
        let mut regions = Regions::default();
        assert_eq!(regions.allocate(0), Some(0));
        regions.release(0, 0, &clock(0));
        assert_eq!(regions, Regions::default());
    }

    proptest! {
        #[test]
        fn no_two_regions_overlap(steps in prop::collection::vec((any::<bool>(), 0_u32..9, 0_usize..20), 1..80)) {
            let (mut regions, mut used) = (Regions::default(), Vec::<(u32, u32)>::new());
            for (tick, (allocate, bits, index)) in steps.into_iter().enumerate() {
                if allocate || used.is_empty() {
                    let length = if bits == 8 { 5 } else { 1 << bits };
                    used.push((regions.allocate(length).unwrap(), length));
                } else {
                    let (first, length) = used.swap_remove(index % used.len());
                    regions.release(first, length, &clock(tick as u32));
                }
                regions.reclaim(&clock(tick as u32));
                used.sort_unstable();
                prop_assert!(used.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0));
                prop_assert!(used.last().is_none_or(|last| last.0 + last.1 <= regions.end()));
            }
            // What a new daemon finds is what the old one had.
            regions.reclaim(&clock(1000));
            prop_assert_eq!(regions, Regions::of(used));
        }
    }
}
