//! The reconcile loop: the one task that owns the kernel's handles, and the only writer.
//!
//! It is level-triggered: whatever happens, it plans from what is desired and what is known, and writes what differs.

mod card;
mod conditions;
mod confirming;
mod counters;
mod editing;
mod error;
mod following;
mod handle;
mod history;
mod hops;
mod index;
mod links;
mod maintenance;
mod nat;
mod packets;
mod plan_view;
mod planning;
mod probing;
mod programming;
mod sink;
mod start;
mod status;
mod surroundings;
mod transaction;
mod try_packet;
mod views;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;
use sluice_kernel::{Datapath, Events, Network, NetworkEvents};
use sluice_model::Problem;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, error};

use crate::api::stopped;
use crate::event::EventLog;
use crate::health::{BackendKey, Monitor};
use crate::store::{Candidates, Desired, Directory, Store};
use crate::wire::Readiness;

pub use crate::trace::TraceError;
pub use card::{CardProber, CardSetup, PlacementCounters, Unprobed};
use conditions::Conditions;
use confirming::Waiting;
pub use error::{ChangeError, EngineGone};
use handle::Command;
pub use handle::Handle;
use hops::Hops;
use index::Index;
use links::Links;
use maintenance::Maintenance;
use planning::Planning;
pub use planning::smallest_sizes;
pub use start::{Setup, StartError};
use surroundings::Dirty;

/// How often slots settle, links are checked and silent neighbours are asked.
const BEAT: Duration = Duration::from_secs(1);

/// Owns the kernel's handles and all state.
pub struct Engine {
    datapath: Box<dyn Datapath>,
    network: Box<dyn Network>,
    planning: Planning,
    desired: Desired,
    store: Store,
    candidates: Candidates,
    /// The commit that waits to be confirmed.
    waiting: Option<Waiting>,
    directory: Directory,
    /// What the directory said when that last took effect. It takes effect again when it says something else.
    directory_said: Option<String>,
    /// The directory changed while a commit waits to be confirmed: it is read afterwards.
    directory_waits: bool,
    directory_problems: Vec<Problem>,
    monitor: Monitor,
    hops: Hops,
    links: Links,
    index: Index,
    conditions: Conditions,
    /// Since when the operator wants of a backend what he wants.
    since: HashMap<BackendKey, Timestamp>,
    maintenance: Maintenance,
    log: Arc<EventLog>,
    cards: card::OnCards,
    heard: card::Heard,
    readiness: watch::Sender<Readiness>,
    started: Timestamp,
    dirty: Dirty,
}

/// What the engine listens to.
pub(in crate::engine) struct Inputs {
    commands: mpsc::Receiver<Command>,
    health: mpsc::UnboundedReceiver<BackendKey>,
    network: NetworkEvents,
    packets: Events,
    directory: mpsc::Receiver<()>,
    stop: watch::Receiver<bool>,
}

impl Engine {
    /// Works until it is told to stop, or nobody can ask it any more. What is programmed goes on running.
    async fn run(mut self, mut inputs: Inputs) {
        let inputs = &mut inputs;
        let mut beat = interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut inputs.stop) => break,
                command = inputs.commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                Some(key) = inputs.health.recv() => {
                    self.heard_of(&key);
                    while let Ok(key) = inputs.health.try_recv() {
                        self.heard_of(&key);
                    }
                }
                Some(event) = inputs.network.next() => self.learn(event),
                Some(probed) = self.heard.probed.recv() => self.dirty.plan |= self.cards.probed(probed, &self.log),
                Some(()) = self.heard.loaded.recv() => self.dirty.plan |= self.cards.is_loaded(),
                Some(()) = inputs.directory.recv() => self.read_directory().await,
                packet = inputs.packets.next() => match packet {
                    Some(packet) => self.tell_packet(&packet),
                    // The ring was replaced by a larger one.
                    None => self.reopen_events(&mut inputs.packets).await,
                },
                _ = beat.tick() => self.maintain().await,
            }
            self.settle(inputs).await;
        }
        debug!("the engine stops; programs and tables go on running");
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Read(read) => read(self),
            Command::Change { order, reply } => {
                let result = self.change(*order).await;
                // Who asked may be gone; the change is made in any case.
                let _ = reply.send(result);
            }
        }
    }

    /// Does what the last event made necessary, once for all events that are there already.
    async fn settle(&mut self, inputs: &mut Inputs) {
        if !self.dirty.any() {
            return;
        }
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(inputs.network.next()) {
            self.learn(event);
        }
        self.look_around().await;
        if self.dirty.plan {
            self.reconcile();
        }
    }

    async fn reopen_events(&mut self, packets: &mut Events) {
        match self.datapath.events() {
            Ok(events) => *packets = events,
            Err(error) => {
                error!(%error, "no events of the datapath");
                tokio::time::sleep(BEAT).await;
            }
        }
    }

    /// The revision in force.
    pub(crate) fn revision(&self) -> u64 {
        self.desired.revision
    }
}
