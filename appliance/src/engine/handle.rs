//! How everything else talks to the engine: by messages, so that it is the only writer.

use tokio::sync::{mpsc, oneshot, watch};

use super::{ChangeError, Engine, EngineGone};
use crate::store::{Change, Order};
use crate::wire::{Applied, Readiness};

/// Requests that wait for the engine; more make the senders wait.
const WAITING: usize = 64;

/// What the engine is asked.
pub(super) enum Command {
    /// Change the desired objects.
    Change { order: Box<Order>, reply: oneshot::Sender<Result<Applied, ChangeError>> },
    /// Look at the state between two changes of it.
    Read(Box<dyn FnOnce(&mut Engine) + Send>),
}

/// Talks to the engine.
#[derive(Clone, Debug)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    readiness: watch::Receiver<Readiness>,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Change { .. } => "Change",
            Self::Read(_) => "Read",
        })
    }
}

impl Handle {
    pub(super) fn new(readiness: watch::Receiver<Readiness>) -> (Self, mpsc::Receiver<Command>) {
        let (commands, received) = mpsc::channel(WAITING);
        (Self { commands, readiness }, received)
    }

    /// Changes the desired objects, or only says what would change. Returns when everything is programmed and kept.
    ///
    /// # Errors
    /// See [`ChangeError`]; then nothing is changed.
    pub async fn change(&self, change: Change, dry_run: bool) -> Result<Applied, ChangeError> {
        self.submit(Order { dry_run, ..Order::local(change) }).await
    }

    /// The same with all that can be said about it.
    ///
    /// # Errors
    /// See [`ChangeError`]; then nothing is changed.
    pub async fn submit(&self, order: Order) -> Result<Applied, ChangeError> {
        let (reply, answer) = oneshot::channel();
        let command = Command::Change { order: Box::new(order), reply };
        self.commands.send(command).await.map_err(|_| EngineGone)?;
        answer.await.map_err(|_| EngineGone)?
    }

    /// Looks at the engine's state.
    ///
    /// # Errors
    /// When the engine ended.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut Engine) -> T + Send + 'static,
    ) -> Result<T, EngineGone> {
        let (reply, answer) = oneshot::channel();
        let look = move |engine: &mut Engine| {
            // Nobody waits any more: the answer is not needed.
            let _ = reply.send(read(engine));
        };
        self.commands.send(Command::Read(Box::new(look))).await.map_err(|_| EngineGone)?;
        answer.await.map_err(|_| EngineGone)
    }

    /// Whether the configuration in force is programmed.
    pub fn readiness(&self) -> Readiness {
        self.readiness.borrow().clone()
    }

    /// Returns when the configuration in force is programmed.
    ///
    /// # Errors
    /// When the engine ended.
    pub async fn ready(&mut self) -> Result<(), EngineGone> {
        self.readiness
            .wait_for(|readiness| readiness.ready)
            .await
            .map(|_| ())
            .map_err(|_| EngineGone)
    }
}
