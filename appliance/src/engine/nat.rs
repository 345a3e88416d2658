//! Frees the records of translated flows that sent nothing for too long.
//!
//! The datapath claims a port by its tag and then writes the record, so a tag without a used record is either a claim
//! of this very moment or one that nobody will finish. A sweep therefore only marks an idle record unused; the tag is
//! freed by the next sweep, if both still look the same.

use std::collections::{HashMap, HashSet};
use std::mem::offset_of;
use std::time::Duration;

use sluice_datapath::abi::{
    NAT_INDICES_PER_ADDRESS, NAT_PORTS, NatRecord, NatState, NatTags, Shared64, Table,
};
use sluice_kernel::TableStore;

/// A TCP flow whose opening was not answered.
const OPENING: Duration = Duration::from_secs(30);
/// A TCP flow that both sides ended. Whoever ended first keeps the ports in TIME-WAIT for 60 s (Linux); a flow of
/// another client on the same port would meet that and lose its first SYN.
const CLOSING: Duration = Duration::from_secs(62);
/// A TCP flow that one side reset.
const RESET: Duration = Duration::from_secs(10);
/// A UDP flow without an answer.
const UDP_UNANSWERED: Duration = Duration::from_secs(60);
/// A UDP flow with answers.
const UDP_ANSWERED: Duration = Duration::from_secs(180);

const RECORD_WORDS: usize = size_of::<NatRecord>() / 8;
const TAG_WORDS_PER_ADDRESS: usize = NAT_INDICES_PER_ADDRESS as usize / 2;
const _: () = assert!(size_of::<NatTags>() / 8 * 2 == sluice_datapath::abi::NAT_WAYS);

/// The clock of the datapath, for ages of records.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ages {
    pub(super) tick: u32,
    pub(super) tick_duration: Duration,
}

impl Ages {
    fn of(&self, then: u32) -> Duration {
        // The datapath may be a tick ahead: that is no age at all.
        let ticks = i32::try_from(self.tick.wrapping_sub(then)).unwrap_or(0);
        self.tick_duration.saturating_mul(u32::try_from(ticks).unwrap_or(0))
    }
}

/// Sweeps one pool address after the other.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    next: u32,
    /// Tags without a used record, as the last sweep of their address found them.
    unused: HashMap<u32, u32>,
    /// The flows in use of each address by backend.
    used: HashMap<u32, HashMap<u32, u32>>,
}

impl Sweeper {
    /// Sweeps a quarter of the pool addresses. `idle` is the idle limit of a service's established flows.
    pub(super) fn sweep(
        &mut self,
        tables: &dyn TableStore,
        addresses: u32,
        ages: Ages,
        idle: &dyn Fn(u32) -> Duration,
    ) {
        for _ in 0..addresses.div_ceil(4) {
            self.next = (self.next + 1) % addresses;
            self.sweep_address(tables, self.next, ages, idle);
        }
    }

    /// The backends that have flows, once every address was swept.
    pub(super) fn backends(&self, addresses: u32) -> Option<HashSet<u32>> {
        (0..addresses)
            .all(|address| self.used.contains_key(&address))
            .then(|| self.used.values().flat_map(HashMap::keys).copied().collect())
    }

    fn sweep_address(
        &mut self,
        tables: &dyn TableStore,
        address: u32,
        ages: Ages,
        idle: &dyn Fn(u32) -> Duration,
    ) {
        let first = address as usize * TAG_WORDS_PER_ADDRESS;
        let Some(tags) = tables.words(Table::NatTags).get(first..first + TAG_WORDS_PER_ADDRESS)
        else {
            return;
        };
        let records = tables.words(Table::NatRecords);
        let mut used: HashMap<u32, u32> = HashMap::new();
        for (at, word) in tags.iter().enumerate() {
            let pair = word.get();
            if pair == 0 {
                continue;
            }
            for side in 0..2 {
                let tag = (pair >> (32 * side)) as u32;
                let index = address * NAT_INDICES_PER_ADDRESS + at as u32 * 2 + side;
                let from = index as usize * RECORD_WORDS;
                let (true, Some(record)) = (tag != 0, records.get(from..from + RECORD_WORDS))
                else {
                    self.unused.remove(&index);
                    continue;
                };
                if state(record) & NatState::USED == 0 {
                    self.free(word, side, tag, index);
                } else if end_if_idle(record, index, ages, idle) {
                    self.unused.insert(index, tag);
                } else {
                    self.unused.remove(&index);
                    *used.entry(half(record, offset_of!(NatRecord, backend))).or_default() += 1;
                }
            }
        }
        self.used.insert(address, used);
    }

    fn free(&mut self, word: &Shared64, side: u32, tag: u32, index: u32) {
        if self.unused.insert(index, tag) != Some(tag) {
            return;
        }
        self.unused.remove(&index);
        replace_half(word, side, tag, 0);
    }
}

/// Marks a record unused if it is idle, unless the datapath touches it meanwhile; whether it did.
fn end_if_idle(
    record: &[Shared64],
    index: u32,
    ages: Ages,
    idle: &dyn Fn(u32) -> Duration,
) -> bool {
    let state = state(record);
    let seen = half(record, offset_of!(NatRecord, seen));
    let limit = match state {
        state if state & NatState::UDP != 0 => {
            if state & NatState::REPLIED != 0 {
                UDP_ANSWERED
            } else {
                UDP_UNANSWERED
            }
        }
        state if state & NatState::RESET != 0 => RESET,
        state if is_closed(state) => CLOSING,
        state if state & NatState::REPLIED == 0 => OPENING,
        _ => idle(half(record, offset_of!(NatRecord, service))),
    };
    debug_assert_eq!(state & NatState::UDP != 0, index % NAT_INDICES_PER_ADDRESS >= NAT_PORTS);
    let at = offset_of!(NatRecord, state);
    let Some(word) = record.get(at / 8) else { return false };
    ages.of(seen) > limit && replace_half(word, (at % 8 / 4) as u32, state, 0)
}

/// Whether both sides have ended the flow.
const fn is_closed(state: u32) -> bool {
    const BOTH: u32 = NatState::CLIENT_FIN | NatState::BACKEND_FIN;
    state & BOTH == BOTH
}

fn state(record: &[Shared64]) -> u32 {
    half(record, offset_of!(NatRecord, state))
}

/// The 32-bit field at this offset of a record.
fn half(record: &[Shared64], offset: usize) -> u32 {
    let word = record.get(offset / 8).map_or(0, Shared64::get);
    (word >> (offset % 8 * 8)) as u32
}

/// Changes one half of a word if it is still `old`, whatever happens to the other half; whether it did.
fn replace_half(word: &Shared64, side: u32, old: u32, new: u32) -> bool {
    let shift = 32 * side;
    let mask = u64::from(u32::MAX) << shift;
    loop {
        let now = word.get();
        if (now >> shift) as u32 != old {
            return false;
        }
        if word.replace(now, now & !mask | u64::from(new) << shift) {
            return true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_kernel::{Sizes, fake, tables};
    use std::sync::Arc;

    const TICK: Duration = Duration::from_millis(256);

    struct Case {
        tables: Arc<dyn TableStore>,
        sweeper: Sweeper,
    }

    impl Case {
        fn new() -> Self {
            let records = NAT_INDICES_PER_ADDRESS;
            let sizes = Sizes::smallest()
                .with(Table::NatRecords, records)
                .with(Table::NatTags, records / 16);
            let (datapath, _) = fake::World::new().open(&sizes).unwrap();
            Self { tables: sluice_kernel::Datapath::tables(&datapath), sweeper: Sweeper::default() }
        }

        fn claim(&self, index: u32, tag: u32, state: u32) {
            let tags = self.tables.view(tables::NAT_TAGS);
            let line = tags.read(index / 16);
            line.tags[index as usize % 16].set(tag);
            tags.write(index / 16, &line);
            let record = NatRecord { service: 7, backend: 3, ..NatRecord::default() };
            record.state.set(state);
            record.seen.set(1000);
            self.tables.view(tables::NAT_RECORDS).write(index, &record);
        }

        /// Sweeps after so many seconds without a packet; whether the port is free.
        fn after(&mut self, index: u32, seconds: u64) -> bool {
            let ticks = (Duration::from_secs(seconds).as_millis() / TICK.as_millis()) as u32 + 1;
            let ages = Ages { tick: 1000 + ticks, tick_duration: TICK };
            for _ in 0..2 {
                self.sweeper.sweep(&*self.tables, 1, ages, &|service| {
                    Duration::from_secs(u64::from(service) * 100)
                });
            }
            self.tables.view(tables::NAT_TAGS).read(index / 16).tags[index as usize % 16].get() == 0
        }
    }

    /// The longest silence, in seconds, that a flow in this state survives.
    fn survives(index: u32, state: u32, seconds: u64) {
        let mut case = Case::new();
        case.claim(index, 77, NatState::USED | state);
        assert!(!case.after(index, seconds - 1), "state {state:#x} ended too early");
        assert!(case.after(index, seconds + 1), "state {state:#x} did not end");
        assert_eq!(case.tables.view(tables::NAT_RECORDS).read(index).state.get(), 0);
    }

    #[test]
    fn each_state_has_its_limit() {
        let (tcp, udp) = (1041, NAT_PORTS + 1040);
        survives(tcp, 0, 30);
        survives(tcp, NatState::REPLIED, 700);
        survives(tcp, NatState::REPLIED | NatState::CLIENT_FIN, 700);
        survives(tcp, NatState::REPLIED | NatState::CLIENT_FIN | NatState::BACKEND_FIN, 62);
        survives(tcp, NatState::RESET, 10);
        survives(udp, NatState::UDP, 60);
        survives(udp, NatState::UDP | NatState::REPLIED, 180);
    }

    #[test]
    fn neighbours_in_a_word_are_left_alone() {
        let mut case = Case::new();
        case.claim(1040, 1, NatState::USED | NatState::REPLIED);
        case.claim(1041, 2, NatState::USED);
        assert!(case.after(1041, 60));
        assert!(!case.after(1040, 60));
        let record = case.tables.view(tables::NAT_RECORDS).read(1041);
        assert_eq!((record.service, record.backend), (7, 3), "only the state is written");
    }

    #[test]
    fn claim_in_progress_is_not_disturbed() {
        let mut case = Case::new();
        let ages = Ages { tick: 5000, tick_duration: TICK };
        let idle = |_| Duration::from_secs(300);
        case.claim(1040, 5, 0);
        case.sweeper.sweep(&*case.tables, 1, ages, &idle);
        // The claim is finished between two sweeps.
        case.claim(1040, 5, NatState::USED);
        case.tables.view(tables::NAT_RECORDS).read(1040).seen.set(5000);
        let fresh = Ages { tick: 1001, tick_duration: TICK };
        case.sweeper.sweep(&*case.tables, 1, fresh, &idle);
        assert_eq!(case.tables.view(tables::NAT_TAGS).read(65).tags[0].get(), 5);
        assert_eq!(case.sweeper.backends(1), Some([3].into()));
        assert_eq!(case.sweeper.backends(2), None, "the second address was not swept");
    }

    #[test]
    fn datapath_ahead_of_us_is_no_age() {
        let ages = Ages { tick: 10, tick_duration: TICK };
        assert_eq!(ages.of(11), Duration::ZERO);
        assert_eq!(Ages { tick: 1, ..ages }.of(u32::MAX), TICK * 2);
    }
}
