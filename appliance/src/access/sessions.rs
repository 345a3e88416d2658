//! Signed-in sessions. They live in memory: a restart of the daemon signs everybody out.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::watch;

use super::secret::{Fingerprint, public_id};
use super::{NoRandom, Secret};

/// Sessions of one user; one more ends the oldest.
const OF_ONE_USER: usize = 16;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct SessionLimits {
    /// Without a request.
    pub idle: Duration,
    /// However busy.
    pub absolute: Duration,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { idle: Duration::from_secs(30 * 60), absolute: Duration::from_secs(12 * 60 * 60) }
    }
}

/// A signed-in user's browser.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// A public name; the cookie holds another.
    pub(crate) id: Arc<str>,
    pub(crate) user: Arc<str>,
    /// What a page of ours sends with every change, and a page of somebody else cannot know.
    pub(crate) csrf: Secret,
    pub(crate) address: Option<IpAddr>,
    /// What the browser calls itself, shortened.
    pub(crate) agent: String,
    pub(crate) created: Timestamp,
    /// The latest end.
    pub(crate) expires: Timestamp,
    pub(crate) seen: Timestamp,
    began: Instant,
    last: Instant,
    /// Dropped when the session ends: streams of it end with it.
    alive: Arc<watch::Sender<()>>,
}

impl Session {
    fn is_over(&self, limits: SessionLimits, now: Instant) -> bool {
        now.saturating_duration_since(self.last) >= limits.idle
            || now.saturating_duration_since(self.began) >= limits.absolute
    }
}

/// When a session ends, whoever waits is told.
#[derive(Debug)]
pub(crate) struct Ending {
    alive: watch::Receiver<()>,
    latest: Instant,
}

impl Ending {
    pub(crate) async fn wait(mut self) {
        let revoked = async { while self.alive.changed().await.is_ok() {} };
        tokio::select! {
            () = revoked => {}
            () = tokio::time::sleep_until(self.latest.into()) => {}
        }
    }
}

/// All sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    limits: SessionLimits,
    all: Mutex<HashMap<Fingerprint, Session>>,
}

impl Sessions {
    pub(super) fn new(limits: SessionLimits) -> Self {
        Self { limits, all: Mutex::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Fingerprint, Session>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new session, and what its cookie holds. Nothing of an earlier session goes on in it.
    pub(super) fn begin(
        &self,
        user: &str,
        address: Option<IpAddr>,
        agent: &str,
        now: Instant,
    ) -> Result<(Secret, Session), NoRandom> {
        let (cookie, created) = (Secret::random()?, Timestamp::now());
        let session = Session {
            id: public_id()?.into(),
            user: user.into(),
            csrf: Secret::random()?,
            address,
            agent: agent.chars().filter(|c| !c.is_control()).take(120).collect(),
            created,
            expires: created + self.limits.absolute,
            seen: created,
            began: now,
            last: now,
            alive: Arc::new(watch::Sender::new(())),
        };
        let mut all = self.all();
        all.retain(|_, session| !session.is_over(self.limits, now));
        let own = all.iter().filter(|(_, session)| *session.user == *user);
        if own.clone().count() >= OF_ONE_USER {
            let oldest = own.min_by_key(|(_, session)| session.last).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                all.remove(&oldest);
            }
        }
        all.insert(Fingerprint::of(cookie.reveal().as_bytes()), session.clone());
        Ok((cookie, session))
    }

    /// The session of a cookie. Being asked for keeps it from idling.
    pub(super) fn find(&self, cookie: &str, now: Instant) -> Option<Session> {
        let key = Fingerprint::of(cookie.as_bytes());
        let mut all = self.all();
        // All that are over: streams of idle ones end too.
        all.retain(|_, session| !session.is_over(self.limits, now));
        let session = all.get_mut(&key)?;
        session.last = now;
        session.seen = Timestamp::now();
        Some(session.clone())
    }

    pub(super) fn list(&self, now: Instant) -> Vec<Session> {
        let mut all = self.all();
        all.retain(|_, session| !session.is_over(self.limits, now));
        let mut list: Vec<_> = all.values().cloned().collect();
        list.sort_by_key(|session| session.created);
        list
    }

    /// Ends those sessions, and returns how many.
    pub(super) fn end(&self, is_meant: impl Fn(&Session) -> bool) -> usize {
        let mut all = self.all();
        let before = all.len();
        all.retain(|_, session| !is_meant(session));
        before - all.len()
    }

    /// Tells when a session ends.
    pub(super) fn ending(&self, id: &str) -> Option<Ending> {
        let all = self.all();
        let session = all.values().find(|session| *session.id == *id)?;
        let latest = session.began + self.limits.absolute;
        Some(Ending { alive: session.alive.subscribe(), latest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SessionLimits =
        SessionLimits { idle: Duration::from_secs(60), absolute: Duration::from_secs(150) };

    #[test]
    fn sessions_end_when_idle_and_in_the_end_anyway() {
        let (sessions, now) = (Sessions::new(LIMITS), Instant::now());
        let seconds = |count| now + Duration::from_secs(count);
        let (cookie, session) = sessions.begin("alice", None, "agent", now).unwrap();
        assert_ne!(cookie.reveal(), &*session.id);
        assert_eq!(sessions.find(cookie.reveal(), seconds(59)).unwrap().id, session.id);
        assert!(sessions.find(cookie.reveal(), seconds(118)).is_some(), "not idle");
        assert!(sessions.find(cookie.reveal(), seconds(150)).is_none(), "however busy");

        let (cookie, _) = sessions.begin("alice", None, "agent", now).unwrap();
        assert!(sessions.find(cookie.reveal(), seconds(60)).is_none(), "idle");
        assert!(sessions.find(cookie.reveal(), now).is_none(), "for ever");
        assert!(sessions.find("", now).is_none());
    }

    #[test]
    fn a_user_has_so_many_sessions_and_no_more() {
        let (sessions, now) = (Sessions::new(LIMITS), Instant::now());
        let (first, _) = sessions.begin("alice", None, "", now).unwrap();
        let (other, _) = sessions.begin("bob", None, "", now).unwrap();
        for second in 1..=16 {
            sessions.begin("alice", None, "", now + Duration::from_secs(second)).unwrap();
        }
        assert_eq!(sessions.list(now).len(), 17);
        assert!(sessions.find(first.reveal(), now).is_none());
        assert!(sessions.find(other.reveal(), now).is_some());
        assert_eq!(sessions.end(|session| &*session.user == "alice"), 16);
    }

    #[tokio::test]
    async fn whoever_waits_for_the_end_of_a_session_is_told() {
        let (sessions, now) = (Sessions::new(LIMITS), Instant::now());
        let (_, session) = sessions.begin("alice", None, "", now).unwrap();
        let ending = sessions.ending(&session.id).unwrap();
        drop(session);
        let waiting = tokio::spawn(ending.wait());
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        sessions.end(|_| true);
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }
}
