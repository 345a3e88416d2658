//! Guessing is slowed down: by account, whoever tries, and by address, whatever account is tried.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many mistakes are free.
const FREE: u32 = 5;
/// An account that somebody else tries must not be shut for its owner for long.
const ACCOUNT_MOST: Duration = Duration::from_secs(60);
const ADDRESS_MOST: Duration = Duration::from_secs(15 * 60);
/// After so long without a mistake all is forgotten.
const FORGET: Duration = Duration::from_secs(60 * 60);
/// Accounts and addresses that are remembered, each; the one that was silent longest makes room.
const REMEMBERED: usize = 4096;

#[derive(Clone, Copy, Debug)]
struct Mistakes {
    count: u32,
    last: Instant,
}

/// Who made mistakes.
#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    accounts: HashMap<String, Mistakes>,
    addresses: HashMap<IpAddr, Mistakes>,
    /// Whence an account was signed in to: others' mistakes don't slow these down.
    known: HashMap<(String, IpAddr), Instant>,
}

impl Throttle {
    /// How long to wait before the next try; `None` if it may be now.
    pub(super) fn wait(
        &self,
        account: &str,
        from: Option<IpAddr>,
        now: Instant,
    ) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = from.map(network);
        let known = from.is_some_and(|from| state.known.contains_key(&(account.to_owned(), from)));
        let account = state.accounts.get(account).filter(|_| !known);
        let account = account.and_then(|mistakes| mistakes.wait(ACCOUNT_MOST, now));
        let address = from.and_then(|from| state.addresses.get(&from));
        account.max(address.and_then(|mistakes| mistakes.wait(ADDRESS_MOST, now)))
    }

    /// Notes a wrong password or code.
    pub(super) fn mistake(&self, account: &str, from: Option<IpAddr>, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        note(&mut state.accounts, account.to_owned(), now);
        if let Some(from) = from {
            note(&mut state.addresses, network(from), now);
        }
    }

    /// Notes that somebody signed in: the account's mistakes are forgotten, the address's are not, or one's own account
    /// would make guessing others' free.
    pub(super) fn success(&self, account: &str, from: Option<IpAddr>, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.accounts.remove(account);
        if let Some(from) = from {
            make_room(&mut state.known, |last| *last);
            state.known.insert((account.to_owned(), network(from)), now);
        }
    }
}

impl Mistakes {
    /// One second after the last free mistake, twice as long after each further one.
    fn wait(&self, most: Duration, now: Instant) -> Option<Duration> {
        let beyond = self.count.checked_sub(FREE)?;
        let delay = Duration::from_secs(1 << beyond.min(20)).min(most);
        (self.last + delay).checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

fn note<K: Hash + Eq + Clone>(all: &mut HashMap<K, Mistakes>, key: K, now: Instant) {
    if !all.contains_key(&key) {
        make_room(all, |mistakes| mistakes.last);
    }
    let mistakes = all.entry(key).or_insert(Mistakes { count: 0, last: now });
    if now.saturating_duration_since(mistakes.last) > FORGET {
        mistakes.count = 0;
    }
    mistakes.count = mistakes.count.saturating_add(1);
    mistakes.last = now;
}

fn make_room<K: Hash + Eq + Clone, V>(all: &mut HashMap<K, V>, last: impl Fn(&V) -> Instant) {
    if all.len() < REMEMBERED {
        return;
    }
    let oldest = all.iter().min_by_key(|(_, value)| last(value)).map(|(key, _)| key.clone());
    if let Some(oldest) = oldest {
        all.remove(&oldest);
    }
}

/// Whoever has an IPv6 address has a /64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !0 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn each_mistake_doubles_the_wait_up_to_a_limit() {
        let (throttle, begin) = (Throttle::default(), Instant::now());
        let mut now = begin;
        for expected in [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            throttle.mistake("alice", ip("192.0.2.1"), now);
            let wait = throttle.wait("alice", ip("192.0.2.1"), now).unwrap_or_default();
            assert_eq!(wait.as_secs(), expected);
            now += wait;
            assert_eq!(throttle.wait("alice", ip("192.0.2.1"), now), None);
        }
    }

    #[test]
    fn an_account_is_slowed_down_from_everywhere_and_an_address_for_every_account() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for last in 1..=20 {
            throttle.mistake("alice", ip(&format!("192.0.2.{last}")), now);
        }
        assert_eq!(throttle.wait("alice", ip("203.0.113.1"), now).unwrap(), ACCOUNT_MOST);
        assert_eq!(throttle.wait("bob", ip("203.0.113.1"), now), None);
        for account in 1..=20 {
            throttle.mistake(&format!("user{account}"), ip("2001:db8::1"), now);
        }
        assert_eq!(throttle.wait("bob", ip("2001:db8::ffff"), now).unwrap(), ADDRESS_MOST);
        assert_eq!(throttle.wait("bob", ip("2001:db8:0:1::1"), now), None);
    }

    #[test]
    fn who_signed_in_before_is_not_shut_out_by_others() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        throttle.success("alice", ip("198.51.100.1"), now);
        for last in 1..=20 {
            throttle.mistake("alice", ip(&format!("192.0.2.{last}")), now);
        }
        assert_eq!(throttle.wait("alice", ip("198.51.100.1"), now), None);
        assert!(throttle.wait("alice", ip("198.51.100.2"), now).is_some());
    }

    #[test]
    fn memory_is_bounded_and_the_past_forgotten() {
        let (throttle, begin) = (Throttle::default(), Instant::now());
        for number in 0..10_000_u32 {
            let from = IpAddr::from(number.to_be_bytes());
            throttle.mistake(&number.to_string(), Some(from), begin);
            throttle.success(&number.to_string(), Some(from), begin);
        }
        let state = throttle.0.lock().unwrap();
        assert!(state.addresses.len() <= REMEMBERED && state.known.len() <= REMEMBERED);
        drop(state);
        for _ in 0..30 {
            throttle.mistake("alice", None, begin);
        }
        let later = begin + FORGET + Duration::from_secs(1);
        throttle.mistake("alice", None, later);
        assert_eq!(throttle.wait("alice", None, later), None);
    }
}
