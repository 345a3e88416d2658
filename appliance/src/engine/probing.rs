//! Which neighbours are asked when: at once, and ever more rarely while they are silent.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::hops::Next;

/// A silent neighbour is asked at last in such steps.
const SLOWEST: Duration = Duration::from_secs(30);
/// The kernel asks three times, a second apart; before that it makes no sense to ask again.
const FASTEST: Duration = Duration::from_secs(1);
/// More are asked in the next round.
const PER_ROUND: usize = 256;

/// When neighbours were asked.
#[derive(Debug, Default)]
pub(super) struct Probing(HashMap<Next, Asked>);

#[derive(Clone, Copy, Debug)]
struct Asked {
    next: Instant,
    pause: Duration,
}

impl Probing {
    /// Those of the doubtful neighbours that are to be asked now.
    pub(super) fn due(&mut self, doubtful: &[(Next, bool)], now: Instant) -> Vec<Next> {
        let wanted: HashMap<_, _> = doubtful.iter().copied().collect();
        self.0.retain(|key, _| wanted.contains_key(key));
        let mut due = Vec::new();
        for (key, _) in doubtful {
            let asked = self.0.entry(*key).or_insert(Asked { next: now, pause: FASTEST / 2 });
            if asked.next > now || due.len() == PER_ROUND {
                continue;
            }
            asked.pause = (asked.pause * 2).min(SLOWEST);
            asked.next = now + asked.pause;
            due.push(*key);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_neighbour_is_asked_ever_more_rarely() {
        let key = ([10, 0, 0, 1].into(), 2);
        let mut probing = Probing::default();
        let start = Instant::now();
        let asked: Vec<_> = (0..100)
            .filter(|second| {
                !probing.due(&[(key, true)], start + Duration::from_secs(*second)).is_empty()
            })
            .collect();
        assert_eq!(asked, [0, 1, 3, 7, 15, 31, 61, 91]);
        // It answered, and is in doubt again later: asked at once.
        let later = start + Duration::from_secs(100);
        assert!(probing.due(&[], later).is_empty());
        assert_eq!(probing.due(&[(key, false)], later), [key]);
    }
}
