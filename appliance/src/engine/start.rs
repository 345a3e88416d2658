//! Starting: taking over what runs, and bringing it to what is desired.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use sluice_kernel::{Datapath, Network};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::info;

use super::card::{CardSetup, OnCards};
use super::conditions::Conditions;
use super::hops::Hops;
use super::index::Index;
use super::links::Links;
use super::maintenance::Maintenance;
use super::planning::{Planning, known_verdict, read_state};
use super::surroundings::Dirty;
use super::{Engine, Handle, Inputs};
use crate::event::EventLog;
use crate::health::{Monitor, Prober};
use crate::store::{Directory, SnapshotError, SnapshotFile, watch as watch_directory};
use crate::wire::Readiness;

/// Sockets of probes at one time.
const PROBES: usize = 4096;

/// What the engine works with.
pub struct Setup {
    /// The packet pipeline.
    pub datapath: Box<dyn Datapath>,
    /// The surroundings.
    pub network: Box<dyn Network>,
    /// The configuration directory.
    pub config: PathBuf,
    /// The state directory.
    pub state: PathBuf,
    /// Asks backends how they are.
    pub prober: Arc<dyn Prober>,
    /// The network cards; without them everything runs on the host.
    pub cards: Option<CardSetup>,
    /// Where events go.
    pub log: Arc<EventLog>,
}

/// Why the engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] SnapshotError),
    /// The datapath or the network cannot be read.
    #[error(transparent)]
    Kernel(#[from] sluice_kernel::Error),
}

impl Engine {
    /// Takes over what runs and starts the loop; the task ends when `stop` becomes true.
    ///
    /// # Errors
    /// When state, datapath or network cannot be read. Whatever runs goes on running.
    pub async fn start(
        setup: Setup,
        stop: watch::Receiver<bool>,
    ) -> Result<(Handle, JoinHandle<()>), StartError> {
        let Setup { mut datapath, network, config, state, prober, cards, log } = setup;
        let file = SnapshotFile::open(state)?;
        let snapshot = file.load()?;
        let (readiness, ready) = watch::channel(Readiness {
            ready: false,
            reason: Some("the daemon is starting".to_owned()),
        });
        let (handle, commands) = Handle::new(ready);
        let (monitor, health) = Monitor::new(PROBES, prober);
        let network_events = network.watch()?;
        let packets = datapath.events()?;
        let planning = Planning::new(read_state(&*datapath)?);
        let index = Index::read(&*datapath.tables());
        let (changed, directory_changed) = mpsc::channel(1);
        let directory = Directory::new(config);
        tokio::spawn(watch_directory(directory.clone(), changed));
        let (mut cards, heard) = OnCards::new(cards);
        cards.clear(&log);
        let mut engine = Self {
            datapath,
            network,
            planning,
            desired: snapshot.desired,
            file,
            directory,
            directory_problems: Vec::new(),
            monitor,
            hops: Hops::default(),
            links: Links::default(),
            index,
            conditions: Conditions::default(),
            since: snapshot.since,
            maintenance: Maintenance::default(),
            log,
            cards,
            heard,
            readiness,
            started: Timestamp::now(),
            dirty: Dirty { plan: true, routes: true, everything: true },
        };
        let inputs = Inputs {
            commands,
            health,
            network: network_events,
            packets,
            directory: directory_changed,
            stop,
        };
        let task = tokio::spawn(async move {
            engine.begin().await;
            engine.run(inputs).await;
        });
        Ok((handle, task))
    }

    /// The first look around: the last configuration that was in force, then the files.
    async fn begin(&mut self) {
        info!(
            revision = self.revision(),
            objects = self.desired.objects.len(),
            "last configuration read"
        );
        self.look_around().await;
        let state = self.planning.state.clone();
        self.set_checks(|key| known_verdict(&state, key));
        let destinations = self.destinations(&self.desired.objects);
        self.want_hops(&destinations).await;
        self.read_directory().await;
        self.reconcile();
        info!(revision = self.revision(), ready = self.readiness.borrow().ready, "engine started");
    }
}
