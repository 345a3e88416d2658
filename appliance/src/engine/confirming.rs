//! The commit that waits to be confirmed, and the way back from it.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use tracing::info;

use super::{ChangeError, Engine};
use crate::access::{Connection, Role};
use crate::event::{Event, EventKind, Severity};
use crate::store::{Author, Change, Order, Pended, Pending, Refusal, Write};
use crate::wire::{Confirmation, ConfirmationState, PendingCommit, Revision};

/// A commit that waits to be confirmed.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) pending: Pending,
    /// When it returns, by a clock that nobody sets.
    over: Instant,
    /// The connection of the commit; none is left of a daemon that ended.
    connection: Option<u64>,
    /// Why the way back failed, as it was told last.
    told: Option<String>,
}

impl Waiting {
    /// One that begins now.
    pub(super) fn begin(pending: Pending, connection: Option<Connection>) -> Self {
        let connection = connection.map(|connection| connection.number);
        let over = Instant::now() + Duration::from_secs(pending.seconds.into());
        Self { pending, over, connection, told: None }
    }

    /// One of an earlier daemon. What is left is told by the machine's clock, but is never more than what was given:
    /// without a battery that clock may stand anywhere.
    pub(super) fn resume(pending: Pending) -> Self {
        let left = pending.until.duration_since(Timestamp::now());
        let left = Duration::try_from(left).unwrap_or_default();
        let left = left.min(Duration::from_secs(pending.seconds.into()));
        Self { pending, over: Instant::now() + left, connection: None, told: None }
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.over
    }

    pub(super) fn shown(&self) -> PendingCommit {
        let Pending { revision, returns_to, ref author, until, seconds } = self.pending;
        let left = self.over.saturating_duration_since(Instant::now());
        let seconds_left = left.as_millis().div_ceil(1000) as u64;
        PendingCommit { revision, returns_to, author: author.clone(), until, seconds_left, seconds }
    }

    pub(super) fn refusal(&self) -> Refusal {
        let Pending { revision, returns_to, until, .. } = self.pending;
        Refusal::Unconfirmed { revision, returns_to, until }
    }
}

impl Engine {
    /// The commit that waits to be confirmed.
    pub fn confirmation(&self) -> Confirmation {
        Confirmation { pending: self.waiting.as_ref().map(Waiting::shown) }
    }

    /// Refuses to let a role confirm what it could not have committed: to confirm is to make it stay.
    ///
    /// # Errors
    /// When the commit that waits is for a higher role, or the revision before it cannot be read.
    pub fn may_confirm(&self, role: Role) -> Result<(), ChangeError> {
        let Some(waiting) = self.waiting.as_ref().filter(|_| role < Role::Administrator) else {
            return Ok(());
        };
        let diff = self.objects_of(waiting.pending.returns_to)?.diff(&self.desired.objects);
        Ok(Refusal::check_role(role, &diff)?)
    }

    /// Confirms the commit that waits.
    ///
    /// # Errors
    /// When none waits, it is the connection of the commit, or the state directory cannot be written.
    pub fn confirm(
        &mut self,
        author: &Author,
        connection: Option<Connection>,
    ) -> Result<Revision, ChangeError> {
        let waiting = self.waiting.as_ref().ok_or(Refusal::NothingPending)?;
        let number = waiting.pending.revision;
        if connection.is_some_and(|asks| waiting.connection == Some(asks.number)) {
            return Err(Refusal::SameConnection.into());
        }
        self.store.put(&Write {
            before: &self.desired,
            after: &self.desired,
            since: (&self.since, &self.since),
            revision: None,
            pending: Pended::Ends(number, ConfirmationState::Confirmed),
            directory: None,
            candidate_of: None,
        })?;
        self.waiting = None;
        info!(revision = number, author = author.name, source = author.source, "commit confirmed");
        self.log.push(
            Event::new(
                EventKind::ConfigConfirmed,
                Severity::Info,
                format!("revision {number} is confirmed by {}", author.name),
            )
            .with("revision", number)
            .with("author", &author.name[..])
            .with("source", &author.source[..]),
        );
        let detail = self.store.revision(number)?;
        let newest = self.desired.revision;
        let gone = Refusal::NoRevision { revision: number, oldest: newest, newest };
        Ok(detail.ok_or(gone)?.revision)
    }

    /// Returns to what was before the commit that waits, if its time is over. What stands in the way is told once, and
    /// tried again at every beat.
    pub(super) async fn return_if_over(&mut self) {
        let Some(waiting) = self.waiting.as_ref().filter(|waiting| waiting.is_over()) else {
            return;
        };
        let message = format!("revision {} was not confirmed in time", waiting.pending.revision);
        let order = Order {
            author: Author::local("sluiced"),
            message: Some(message),
            ..Order::local(Change::Return)
        };
        let Err(error) = self.try_change(order).await else { return };
        let text = error.to_string();
        let Some(waiting) = &mut self.waiting else { return };
        if waiting.told.as_ref() != Some(&text) {
            waiting.told = Some(text);
            self.tell_refusal(&error, "not-confirmed");
        }
    }
}
