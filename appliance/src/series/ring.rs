//! The last values of one series.

use std::collections::VecDeque;

/// Values at a fixed step; old ones give way. Memory grows with what is in it, up to the capacity.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    values: VecDeque<Option<f32>>,
    capacity: usize,
    /// The step that the next value belongs to, counted from 1970.
    next: i64,
}

impl Ring {
    pub(super) const fn new(capacity: usize) -> Self {
        Self { values: VecDeque::new(), capacity, next: 0 }
    }

    /// Puts the value of a step. Steps in between, that nobody measured, are gaps; one that is over is left as it is.
    pub(super) fn put(&mut self, step: i64, value: f32) {
        if self.values.is_empty() || step - self.next >= self.capacity as i64 {
            self.values.clear();
            self.next = step;
        }
        while self.next <= step {
            if self.values.len() == self.capacity {
                self.values.pop_front();
            }
            self.values.push_back((self.next == step).then_some(value));
            self.next += 1;
        }
    }

    /// The step of the last value, if there is one.
    pub(super) fn last(&self) -> Option<i64> {
        (!self.values.is_empty()).then(|| self.next - 1)
    }

    /// The values of the steps from `begin` to `end`, both included.
    pub(super) fn between(&self, begin: i64, end: i64) -> impl Iterator<Item = Option<f32>> + '_ {
        let first = self.next - self.values.len() as i64;
        (begin..=end).map(move |step| {
            let index = usize::try_from(step - first).ok()?;
            self.values.get(index).copied().flatten()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_values_give_way_and_gaps_stay_gaps() {
        let mut ring = Ring::new(4);
        for step in [10, 11, 13] {
            ring.put(step, step as f32);
        }
        let values: Vec<_> = ring.between(9, 14).collect();
        assert_eq!(values, [None, Some(10.0), Some(11.0), None, Some(13.0), None]);
        ring.put(15, 15.0);
        ring.put(12, 99.0);
        let values: Vec<_> = ring.between(11, 15).collect();
        assert_eq!(values, [None, None, Some(13.0), None, Some(15.0)]);
        assert_eq!((ring.values.len(), ring.last()), (4, Some(15)));
    }

    #[test]
    fn a_clock_that_jumps_far_ahead_begins_anew() {
        let mut ring = Ring::new(4);
        ring.put(1, 1.0);
        ring.put(1_000_000_000, 2.0);
        assert_eq!(ring.values.len(), 1);
    }
}
