use std::collections::BTreeSet;

/// Numbers that are given out one by one, the smallest free one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    first: u32,
    /// All numbers from here on are free.
    end: u32,
    free: BTreeSet<u32>,
}

impl Ids {
    /// All numbers from `first` on are free.
    #[must_use]
    pub fn from(first: u32) -> Self {
        Self { first, end: first, free: BTreeSet::new() }
    }

    /// The smallest free number.
    pub fn allocate(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }

    /// Marks a number as used; for numbers found in the tables of a running datapath.
    pub fn take(&mut self, id: u32) {
        if id >= self.end {
            self.free.extend(self.end..id);
            self.end = id + 1;
        } else {
            self.free.remove(&id);
        }
    }

    /// Makes a number free again.
    pub fn release(&mut self, id: u32) {
        self.free.insert(id);
        while self.end > self.first && self.free.remove(&(self.end - 1)) {
            self.end -= 1;
        }
    }

    /// One more than the largest number in use: how many entries a table needs.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_free_number_comes_first() {
        let mut ids = Ids::from(1);
        assert_eq!([ids.allocate(), ids.allocate(), ids.allocate()], [1, 2, 3]);
        ids.release(2);
        assert_eq!(ids.end(), 4);
        assert_eq!([ids.allocate(), ids.allocate()], [2, 4]);
    }

    #[test]
    fn releasing_everything_needs_no_entries() {
        let mut ids = Ids::from(1);
        (0..3).for_each(|_| _ = ids.allocate());
        (1..4).for_each(|id| ids.release(id));
        assert_eq!(ids, Ids::from(1));
    }

    #[test]
    fn numbers_that_were_found_are_not_given_out() {
        let mut ids = Ids::from(1);
        ids.take(3);
        ids.take(1);
        assert_eq!([ids.allocate(), ids.allocate()], [2, 4]);
    }
}
