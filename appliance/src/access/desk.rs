//! The desk where everybody is known: what the API asks about users, tokens and sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_model::Name;
use tokio::sync::Semaphore;

use super::sessions::Sessions;
use super::setup::Setup;
use super::throttle::Throttle;
use super::tokens::Tokens;
use super::users::{Proof, Users};
use super::{
    AccessError, AuditLog, Caller, CallerKind, Connection, Ending, Entry, NoRandom, Role, Scope,
    Secret, Session, SessionLimits, SignInError, StateError, Token, User, files,
};

/// Passwords that are hashed at one time: each takes 19 MiB and a core.
const HASHING: usize = 2;
/// Refusals of unknown callers that are recorded one by one in a minute: nobody shall be able to flood the log.
const REFUSALS: u32 = 60;
const MINUTE: Duration = Duration::from_secs(60);
/// So often it is looked whether a token is still there whose stream goes on.
const LOOK: Duration = Duration::from_secs(5);
/// The public name of the token of `--token-file`.
const TOKEN_FILE: &str = "token-file";

/// How [`Access`] is set up.
#[derive(Debug)]
pub struct Options<'a> {
    /// The state directory.
    pub state: &'a Path,
    /// The token of `--token-file`, an administrator's.
    pub token: Option<Secret>,
    /// How long sessions last.
    pub limits: SessionLimits,
}

/// Who may do what.
#[derive(Debug)]
pub struct Access {
    token: Option<Secret>,
    users: Users,
    tokens: Tokens,
    sessions: Sessions,
    throttle: Throttle,
    setup: Setup,
    hashing: Arc<Semaphore>,
    /// Counts changes of what people sign in with.
    changes: AtomicU64,
    /// The log of who did what.
    pub audit: AuditLog,
    refusals: Mutex<Refusals>,
}

#[derive(Debug)]
struct Refusals {
    since: Instant,
    recorded: u32,
    unrecorded: u64,
}

/// What a backup holds, read and found possible.
#[derive(Debug, Deserialize)]
pub struct Kept {
    users: BTreeMap<Name, User>,
    tokens: BTreeMap<String, Token>,
}

/// What somebody signs in with.
#[derive(Debug)]
pub(crate) struct SignIn {
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) code: Option<String>,
    pub(crate) agent: String,
}

impl Access {
    /// Reads what is kept.
    ///
    /// # Errors
    /// When the state directory cannot be used.
    pub fn open(options: Options<'_>) -> Result<Self, AccessError> {
        files::directory(options.state)?;
        let users = Users::open(options.state)?;
        Ok(Self {
            setup: Setup::new(users.is_empty())?,
            users,
            tokens: Tokens::open(options.state)?,
            audit: AuditLog::open(options.state)?,
            token: options.token,
            sessions: Sessions::new(options.limits),
            throttle: Throttle::default(),
            hashing: Arc::new(Semaphore::new(HASHING)),
            changes: AtomicU64::new(0),
            refusals: Mutex::new(Refusals { since: Instant::now(), recorded: 0, unrecorded: 0 }),
        })
    }

    /// The secret of the link for setting up; `None` when there are users.
    pub fn setup_token(&self) -> Option<Secret> {
        self.setup.get()
    }

    /// Who sends this token.
    pub(crate) fn by_token(&self, given: &[u8], connection: Connection) -> Option<Caller> {
        if self.token.as_ref().is_some_and(|token| token.is(given)) {
            return Some(Caller {
                name: TOKEN_FILE.into(),
                role: Role::Administrator,
                read_only: false,
                kind: CallerKind::Token(TOKEN_FILE.into()),
                connection,
            });
        }
        let (id, token) = self.tokens.find(given, Timestamp::now())?;
        Some(Caller {
            name: token.name.as_str().into(),
            role: token.role,
            read_only: token.read_only,
            kind: CallerKind::Token(id.into()),
            connection,
        })
    }

    /// Who has a certificate of the client authority with this name.
    pub(crate) fn by_certificate(&self, name: &str, connection: Connection) -> Option<Caller> {
        let (user, role) = self.users.of_certificate(name)?;
        let kind = CallerKind::Certificate;
        Some(Caller { name: user.as_str().into(), role, read_only: false, kind, connection })
    }

    /// Whose session has this cookie. The role is the user's of now.
    pub(crate) fn by_cookie(
        &self,
        cookie: &str,
        connection: Connection,
    ) -> Option<(Caller, Session)> {
        let session = self.sessions.find(cookie, Instant::now())?;
        let role = self.users.role(&session.user)?;
        let (name, kind) = (session.user.clone(), CallerKind::Session(session.id.clone()));
        Some((Caller { name, role, read_only: false, kind, connection }, session))
    }

    /// Tells when the caller's session ends; `None` for callers without.
    pub(crate) fn ending(&self, caller: &Caller) -> Option<Ending> {
        match &caller.kind {
            CallerKind::Session(id) => self.sessions.ending(id),
            _ => None,
        }
    }

    /// Returns when the caller may not ask any more: its session has ended, or its token or user is gone.
    pub(crate) async fn until_gone(self: Arc<Self>, caller: Caller, ending: Option<Ending>) {
        if let Some(ending) = ending {
            return ending.wait().await;
        }
        loop {
            tokio::time::sleep(LOOK).await;
            let stays = match &caller.kind {
                CallerKind::Socket => true,
                CallerKind::Session(_) => false,
                CallerKind::Certificate => self.users.role(&caller.name).is_some(),
                CallerKind::Token(id) => {
                    **id == *TOKEN_FILE || self.tokens.is_valid(id, Timestamp::now())
                }
            };
            if !stays {
                return;
            }
        }
    }

    /// Checks user, password and code, and begins a session. Returns what the cookie holds.
    pub(crate) async fn sign_in(
        self: &Arc<Self>,
        sign_in: SignIn,
        from: Option<IpAddr>,
    ) -> Result<(Secret, Session, Role), SignInError> {
        let SignIn { user, password, code, agent } = sign_in;
        // Any text may come; a long one is nobody's name and need not be remembered whole.
        let account: String = user.chars().take(64).collect();
        if let Some(wait) = self.throttle.wait(&account, from, Instant::now()) {
            return Err(SignInError::Throttled(wait));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        match self.prove(&account, user, password, code, from).await? {
            Proof::Wrong => return Err(SignInError::Wrong),
            Proof::CodeNeeded => return Err(SignInError::CodeNeeded),
            Proof::Right => self.throttle.success(&account, from, Instant::now()),
        }
        let role = self.users.role(&account).ok_or(SignInError::Wrong)?;
        let begun = self.begin(&account, role, &agent, from)?;
        if self.changes.load(Ordering::SeqCst) != changes {
            // What was proved may be over: sessions were ended before this one began.
            let _ = self.end_session(&begun.1.id, None);
            return Err(SignInError::Wrong);
        }
        Ok(begun)
    }

    /// Tries a password. A mistake counts even if nobody waits for the answer any more.
    async fn prove(
        self: &Arc<Self>,
        account: &str,
        user: String,
        password: Secret,
        code: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<Proof, SignInError> {
        let (desk, account) = (self.clone(), account.to_owned());
        let prove = move || {
            // Who waited in line meets what those before did.
            if let Some(wait) = desk.throttle.wait(&account, from, Instant::now()) {
                return Err(SignInError::Throttled(wait));
            }
            let proof = desk.users.prove(&user, &password, code.as_deref());
            if proof == Proof::Wrong {
                desk.throttle.mistake(&account, from, Instant::now());
            }
            Ok(proof)
        };
        self.hash(prove).await?
    }

    fn begin(
        &self,
        user: &str,
        role: Role,
        agent: &str,
        from: Option<IpAddr>,
    ) -> Result<(Secret, Session, Role), SignInError> {
        let begun = self.sessions.begin(user, from, agent, Instant::now());
        let (cookie, session) = begun.map_err(AccessError::Random)?;
        Ok((cookie, session, role))
    }

    /// Whether it is the link's token. The right one is never made to wait: nobody can guess it, so nobody shall keep
    /// its owner out by guessing.
    pub(crate) fn check_link(
        &self,
        token: &Secret,
        from: Option<IpAddr>,
    ) -> Result<(), SignInError> {
        let account = "/setup";
        if self.setup.is(token) {
            return Ok(());
        }
        if let Some(wait) = self.throttle.wait(account, from, Instant::now()) {
            return Err(SignInError::Throttled(wait));
        }
        self.throttle.mistake(account, from, Instant::now());
        Err(SignInError::Link)
    }

    /// Makes the first administrator, by the link, and begins a session.
    pub(crate) async fn set_up(
        self: &Arc<Self>,
        token: &Secret,
        name: Name,
        password: Secret,
        agent: &str,
        from: Option<IpAddr>,
    ) -> Result<(Secret, Session, Role), SignInError> {
        self.check_link(token, from)?;
        let (desk, user) = (self.clone(), name.clone());
        let role = Role::Administrator;
        let added =
            self.hash(move || desk.users.add(&user, role, Some(&password), None, true)).await?;
        match added {
            Err(AccessError::Exists(_)) => return Err(SignInError::Link),
            added => added?,
        };
        self.setup.end();
        self.begin(name.as_str(), role, agent, from)
    }

    /// Work that takes time and memory: away from the threads that serve, and not too much at once.
    async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccessError> {
        let permit = self.hashing.clone().acquire_owned().await.map_err(|_| NoRandom)?;
        // Who hangs up makes no room while the work goes on.
        let work = move || {
            let _permit = permit;
            work()
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| AccessError::Random(NoRandom))
    }

    /// All users.
    pub(crate) fn users(&self) -> BTreeMap<Name, User> {
        self.users.list()
    }

    /// One user.
    pub(crate) fn user(&self, name: &Name) -> Result<User, AccessError> {
        self.users.get(name).ok_or_else(|| AccessError::NoUser(name.clone()))
    }

    /// Adds a user; the link for setting up works no more.
    pub(crate) async fn add_user(
        self: &Arc<Self>,
        name: Name,
        role: Role,
        password: Option<Secret>,
        certificate: Option<String>,
    ) -> Result<User, AccessError> {
        let desk = self.clone();
        let add = move || desk.users.add(&name, role, password.as_ref(), certificate, false);
        let user = self.hash(add).await??;
        self.setup.end();
        Ok(user)
    }

    /// Changes a user's role or certificate.
    pub(crate) fn alter_user(
        &self,
        name: &Name,
        role: Option<Role>,
        certificate: Option<String>,
    ) -> Result<(User, User), AccessError> {
        self.users.alter(name, role, certificate)
    }

    /// Removes a user and ends their sessions.
    pub(crate) fn remove_user(&self, name: &Name) -> Result<User, AccessError> {
        let removed = self.users.remove(name)?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.sessions.end(|session| *session.user == *name.as_str());
        Ok(removed)
    }

    /// Sets a password and ends the user's sessions, but for the one that asks.
    pub(crate) async fn set_password(
        self: &Arc<Self>,
        name: &Name,
        password: Secret,
        but: Option<&str>,
    ) -> Result<(), AccessError> {
        let (desk, user, but) = (self.clone(), name.clone(), but.map(str::to_owned));
        let set = move || {
            desk.users.set_password(&user, &password)?;
            desk.changes.fetch_add(1, Ordering::SeqCst);
            let is_but = |session: &Session| Some(&*session.id) == but.as_deref();
            desk.sessions.end(|session| *session.user == *user.as_str() && !is_but(session));
            Ok(())
        };
        self.hash(set).await?
    }

    /// Whether it is the user's password. A wrong one counts as a wrong try to sign in.
    pub(crate) async fn check_password(
        self: &Arc<Self>,
        name: &Name,
        password: Secret,
        from: Option<IpAddr>,
    ) -> Result<(), SignInError> {
        match self.prove(name.as_str(), name.to_string(), password, None, from).await? {
            Proof::Right | Proof::CodeNeeded => Ok(()),
            Proof::Wrong => Err(SignInError::Wrong),
        }
    }

    /// A new key for the user's authenticator app, and its address for a QR code.
    pub(crate) fn new_totp(&self, name: &Name) -> Result<(String, String), AccessError> {
        self.users.new_key(name)
    }

    /// Puts the new key in force.
    pub(crate) fn confirm_totp(&self, name: &Name, code: &str) -> Result<(), AccessError> {
        self.users.confirm_key(name, code)
    }

    /// The user needs no code any more.
    pub(crate) fn remove_totp(&self, name: &Name) -> Result<(), AccessError> {
        self.users.set_key(name, None)
    }

    /// Users and tokens as they are kept, for a backup: with what signs in by, so it is to be encrypted.
    ///
    /// # Errors
    /// When they cannot be written as JSON.
    pub fn export(&self) -> Result<Value, serde_json::Error> {
        Ok(json!({"users": self.users.list(), "tokens": self.tokens.kept()}))
    }

    /// Users and tokens as [`export`](Self::export) wrote them; nothing changes yet.
    ///
    /// # Errors
    /// When it is no such backup, or nobody could administrate afterwards.
    pub fn read(&self, kept: Value) -> Result<Kept, AccessError> {
        let kept: Kept =
            serde_json::from_value(kept).map_err(|error| AccessError::Backup(error.to_string()))?;
        let is_new = kept.users.is_empty() && self.users.is_empty();
        if !is_new && !kept.users.values().any(User::can_administrate) {
            return Err(AccessError::Backup("none of its users can administrate".to_owned()));
        }
        Ok(kept)
    }

    /// Puts users and tokens of a backup in the place of all that are known, and ends all sessions.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn import(&self, kept: Kept) -> Result<(), AccessError> {
        let empty = kept.users.is_empty();
        self.users.replace(kept.users)?;
        self.changes.fetch_add(1, Ordering::SeqCst);
        self.sessions.end(|_| true);
        self.tokens.replace(kept.tokens)?;
        if !empty {
            self.setup.end();
        }
        Ok(())
    }

    /// All tokens, and when they were used last.
    pub(crate) fn tokens(&self) -> Vec<(String, Token, Option<Timestamp>)> {
        self.tokens.list()
    }

    /// Makes a token; its text is told this once.
    pub(crate) fn add_token(
        &self,
        scope: Scope,
        by: &Caller,
    ) -> Result<(String, Token, Secret), AccessError> {
        self.tokens.add(scope, &by.name)
    }

    /// Removes a token.
    pub(crate) fn remove_token(&self, id: &str) -> Result<Token, AccessError> {
        self.tokens.remove(id)
    }

    /// All sessions, the oldest first.
    pub(crate) fn sessions(&self) -> Vec<Session> {
        self.sessions.list(Instant::now())
    }

    /// Ends a session; `of` only if it is that user's.
    pub(crate) fn end_session(&self, id: &str, of: Option<&str>) -> Result<(), AccessError> {
        let ended = self
            .sessions
            .end(|session| *session.id == *id && of.is_none_or(|user| *session.user == *user));
        if ended == 0 { Err(AccessError::NoSession(id.to_owned())) } else { Ok(()) }
    }

    /// Writes down that something is about to be done; what cannot be recorded must not be done.
    pub(crate) async fn record_beginning(
        self: &Arc<Self>,
        entry: Entry,
    ) -> Result<u64, AccessError> {
        let desk = self.clone();
        // It waits for the disk.
        let written = tokio::task::spawn_blocking(move || desk.audit.begin(entry)).await;
        Ok(written.map_err(|_| AccessError::Random(NoRandom))??)
    }

    /// Records what somebody did or tried. Refusals of unknown callers beyond so many a minute are counted only.
    pub(crate) async fn record(self: &Arc<Self>, mut entry: Entry, unknown: bool) {
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            if refusals.since.elapsed() > MINUTE {
                (refusals.since, refusals.recorded) = (Instant::now(), 0);
            }
            if unknown && refusals.recorded >= REFUSALS {
                refusals.unrecorded += 1;
                return;
            }
            refusals.recorded += u32::from(unknown);
            entry.unrecorded = std::mem::take(&mut refusals.unrecorded);
        }
        let desk = self.clone();
        // It waits for the disk.
        let _ = tokio::task::spawn_blocking(move || desk.audit.append(entry)).await;
    }
}

impl From<StateError> for SignInError {
    fn from(error: StateError) -> Self {
        Self::Access(error.into())
    }
}
