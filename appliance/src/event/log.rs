//! The log: two rings with one numbering, so that a flood of packets does not wash the rest away.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::{Cursor, Event};

/// Events about packets that are kept.
const PACKET_EVENTS: usize = 16_384;
/// Other events that are kept.
const OTHER_EVENTS: usize = 4096;

/// The events of this run of the daemon, the latest of them in memory.
#[derive(Debug)]
pub struct EventLog {
    run: u64,
    rings: Mutex<Rings>,
    last: watch::Sender<u64>,
}

#[derive(Debug)]
struct Rings {
    packets: Ring,
    others: Ring,
    last: u64,
}

#[derive(Debug)]
struct Ring {
    events: VecDeque<Arc<Event>>,
    capacity: usize,
}

impl Ring {
    fn new(capacity: usize) -> Self {
        Self { events: VecDeque::new(), capacity }
    }

    fn push(&mut self, event: Arc<Event>) {
        if self.events.len() == self.capacity {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// The first event behind this number.
    fn after(&self, number: u64) -> Option<&Arc<Event>> {
        self.events.get(self.events.partition_point(|event| event.id.number <= number))
    }
}

impl Default for EventLog {
    fn default() -> Self {
        Self::new(PACKET_EVENTS, OTHER_EVENTS)
    }
}

impl EventLog {
    /// A log that keeps so many events about packets and so many others.
    pub fn new(packets: usize, others: usize) -> Self {
        // Two runs may begin within a second of each other.
        let run = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let rings = Rings { packets: Ring::new(packets), others: Ring::new(others), last: 0 };
        Self { run, rings: Mutex::new(rings), last: watch::Sender::new(0) }
    }

    /// Adds an event and wakes who follows.
    pub fn push(&self, mut event: Event) {
        let mut rings = self.lock();
        rings.last += 1;
        let number = rings.last;
        event.id = Cursor { run: self.run, number };
        let ring = if event.kind.is_packet() { &mut rings.packets } else { &mut rings.others };
        ring.push(Arc::new(event));
        drop(rings);
        self.last.send_replace(number);
    }

    /// Where the log ends now.
    pub fn end(&self) -> Cursor {
        Cursor { run: self.run, number: self.lock().last }
    }

    /// Follows the log from behind `after` on. A cursor of another run stands before everything of this one.
    pub fn follow(self: &Arc<Self>, after: Cursor) -> Follower {
        let other_run = after.run != self.run;
        let number = if other_run { 0 } else { after.number.min(self.lock().last) };
        Follower {
            log: self.clone(),
            number,
            restarted: other_run && after.run != 0,
            wake: self.last.subscribe(),
        }
    }

    /// The latest events that are not about packets, oldest first.
    pub fn latest(&self, count: usize) -> Vec<Arc<Event>> {
        let rings = self.lock();
        let events = &rings.others.events;
        events.iter().skip(events.len().saturating_sub(count)).cloned().collect()
    }

    /// A panic while the lock was held cannot have left the rings half changed.
    fn lock(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader's place in the log.
#[derive(Debug)]
pub struct Follower {
    log: Arc<EventLog>,
    number: u64,
    restarted: bool,
    wake: watch::Receiver<u64>,
}

/// What a reader finds next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// An event.
    Event(Arc<Event>),
    /// So many events are gone before the reader came to them.
    Lost(u64),
    /// The reader stopped in an earlier run of the daemon; what followed there is gone.
    Restarted,
}

impl Follower {
    /// What comes next, if it is there already.
    pub fn try_next(&mut self) -> Option<Next> {
        if std::mem::take(&mut self.restarted) {
            return Some(Next::Restarted);
        }
        let rings = self.log.lock();
        let found =
            [&rings.packets, &rings.others].into_iter().filter_map(|ring| ring.after(self.number));
        let next = found.min_by_key(|event| event.id.number)?.clone();
        drop(rings);
        let lost = next.id.number - self.number - 1;
        if lost > 0 {
            self.number += lost;
            return Some(Next::Lost(lost));
        }
        self.number = next.id.number;
        Some(Next::Event(next))
    }

    /// What comes next; waits for it. `None` when the log is gone.
    pub async fn next(&mut self) -> Option<Next> {
        loop {
            self.wake.borrow_and_update();
            if let Some(next) = self.try_next() {
                return Some(next);
            }
            self.wake.changed().await.ok()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Severity};

    fn log(events: &[EventKind]) -> Arc<EventLog> {
        let log = Arc::new(EventLog::new(2, 3));
        for kind in events {
            log.push(Event::new(*kind, Severity::Info, "something"));
        }
        log
    }

    fn read(follower: &mut Follower) -> Vec<String> {
        let word = |next| match next {
            Next::Event(event) => format!("{}", event.id.number),
            Next::Lost(count) => format!("lost {count}"),
            Next::Restarted => "restarted".to_owned(),
        };
        std::iter::from_fn(|| follower.try_next()).map(word).collect()
    }

    use EventKind::{BackendUp, Drop};

    #[test]
    fn events_come_in_order_and_only_once() {
        let log = log(&[BackendUp, Drop, BackendUp]);
        let mut follower = log.follow(Cursor::default());
        assert_eq!(read(&mut follower), ["1", "2", "3"]);
        assert!(read(&mut follower).is_empty());
    }

    #[test]
    fn reader_resumes_behind_the_last_event_it_saw() {
        let log = log(&[BackendUp, Drop, BackendUp]);
        let seen = Cursor { run: log.run, number: 2 };
        assert_eq!(read(&mut log.follow(seen)), ["3"]);
    }

    #[test]
    fn flood_of_packets_leaves_other_events_and_is_counted() {
        let log = log(&[BackendUp, Drop, Drop, Drop, Drop, BackendUp]);
        assert_eq!(read(&mut log.follow(Cursor::default())), ["1", "lost 2", "4", "5", "6"]);
    }

    #[test]
    fn cursor_of_another_run_starts_over_and_says_so() {
        let log = log(&[BackendUp]);
        let other = Cursor { run: log.run - 1, number: 77 };
        assert_eq!(read(&mut log.follow(other)), ["restarted", "1"]);
    }

    #[test]
    fn cursor_from_the_future_waits_for_what_comes() {
        let log = log(&[BackendUp]);
        let mut follower = log.follow(Cursor { run: log.run, number: 99 });
        log.push(Event::new(Drop, Severity::Info, "something"));
        assert_eq!(read(&mut follower), ["2"]);
    }

    #[tokio::test]
    async fn waiting_reader_wakes() {
        let log = log(&[]);
        let mut follower = log.follow(log.end());
        let waiting = tokio::spawn(async move { follower.next().await });
        tokio::task::yield_now().await;
        log.push(Event::new(BackendUp, Severity::Info, "something"));
        assert!(matches!(waiting.await.unwrap(), Some(Next::Event(event)) if event.id.number == 1));
    }
}
