//! The Linux kernel.

mod attach;
mod attached;
mod card;
mod clock;
mod commit;
mod counters;
mod detach_all;
mod events;
mod generic;
mod host_object;
mod ipsec;
mod merge;
mod netlink;
mod network;
mod objects;
mod open;
mod pins;
mod readiness;
mod sys;
mod tables;
mod test_program;
pub mod trial;
mod tunnel_link;
mod watcher;
mod xdp;

pub use card::{CardOptions, Cards, CardsOpened, Emulation};
pub use detach_all::{Detached, detach_all};
pub use ipsec::Ipsec;
pub use network::Network;
pub use objects::{ObjectIds, object_ids};
pub use test_program::TestProgram;
pub use tunnel_link::TunnelLinks;

use crate::{
    AttachRequest, Attached, Attachment, Committed, Events, Opened, Result, Sizes, TableStore,
    chaos::Faults,
};
use clock::Clock;
use commit::Staged;
use counters::Counters;
use host_object::HostObject;
use pins::Pins;
use sluice_datapath::abi::{
    BackendCount, Count, PrefilterHit, Reason, ServiceCounts, Settings, Table,
};
use std::{path::PathBuf, sync::Arc, time::Duration};
use sys::Kernel;
use tables::Tables;
use tokio::sync::watch;

/// Where Sluice pins what must survive it.
pub const PIN_DIRECTORY: &str = "/sys/fs/bpf/sluice";

/// How to open the datapath.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where tables and attachments are pinned.
    pub pin_directory: PathBuf,
    /// Sizes of the tables, if there are none yet. Tables that are there keep their size.
    pub sizes: Sizes,
    /// Lets single kernel operations fail, by names such as `map_create` and `link_update`. For tests.
    pub faults: Option<Faults>,
}

impl Options {
    /// The usual directory and these sizes.
    pub fn new(sizes: Sizes) -> Self {
        Self { pin_directory: PIN_DIRECTORY.into(), sizes, faults: None }
    }

    /// Another pin directory.
    #[must_use]
    pub fn pinned_in(mut self, directory: impl Into<PathBuf>) -> Self {
        self.pin_directory = directory.into();
        self
    }

    /// Kernel operations that fail.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = Some(faults);
        self
    }
}

/// The datapath in the kernel. Dropping it leaves everything running; [`detach_all`] removes it.
pub struct Datapath {
    kernel: Kernel,
    pins: Pins,
    object: HostObject,
    tables: Arc<Tables>,
    staged: Option<Staged>,
    clock: Clock,
    cpus: usize,
    /// Ends the stream of events when it is dropped.
    alive: watch::Sender<()>,
}

impl Datapath {
    /// Takes over what an earlier process left under the pin directory, or creates the tables. Ends what that
    /// process began, and forgets attachments whose links are gone. Programs on links keep running.
    ///
    /// # Errors
    /// [`crate::Error::InUse`] while another process has the directory; [`crate::Error::Kernel`].
    pub fn open(options: &Options) -> Result<(Self, Opened)> {
        open::open(options)
    }

    fn counters(&self) -> Counters<'_> {
        Counters { kernel: &self.kernel, tables: &self.tables, cpus: self.cpus }
    }

    /// From now on these are the tables in use.
    fn adopt(&mut self, tables: Arc<Tables>) {
        if !tables.shares(&self.tables, Table::Events) {
            self.alive = watch::channel(()).0;
        }
        self.tables = tables;
    }
}

impl crate::Datapath for Datapath {
    fn tables(&self) -> Arc<dyn TableStore> {
        self.tables.clone()
    }

    fn sizes(&self) -> Sizes {
        self.tables.sizes()
    }

    fn stage(&mut self, wanted: &Sizes) -> Result<Arc<dyn TableStore>> {
        Ok(self.stage_tables(wanted)?)
    }

    fn unstage(&mut self) -> Result<()> {
        self.staged = None;
        Ok(())
    }

    fn commit(&mut self, settings: &[Settings]) -> Result<Committed> {
        self.commit_tables(settings)
    }

    fn attach(&mut self, request: &AttachRequest) -> Result<Attached> {
        self.attach_program(request)
    }

    fn attached(&self) -> Result<Vec<Attachment>> {
        self.attachments()
    }

    fn detach(&mut self, ifindex: u32) -> Result<bool> {
        self.detach_program(ifindex)
    }

    fn counts(&self) -> Result<Vec<Count>> {
        let reasons: Vec<u32> = (0..Reason::COUNT as u32).collect();
        self.counters().sums(Table::Counts, &reasons)
    }

    fn backend_counts(&self, ids: &[u32]) -> Result<Vec<BackendCount>> {
        self.counters().sums(Table::BackendCounts, ids)
    }

    fn service_counts(&self, services: &[u32]) -> Result<Vec<ServiceCounts>> {
        self.counters().sums(Table::ServiceCounts, services)
    }

    fn prefilter_hits(&self) -> Result<Vec<PrefilterHit>> {
        let mut hits: Vec<PrefilterHit> = self.counters().values(Table::PrefilterHits)?;
        hits.retain(|hit| hit.family != 0);
        Ok(hits)
    }

    fn reset_backend_count(&mut self, id: u32) -> Result<()> {
        self.counters().reset(Table::BackendCounts, id)
    }

    fn reset_service_counts(&mut self, service: u32) -> Result<()> {
        self.counters().reset(Table::ServiceCounts, service)
    }

    fn events(&mut self) -> Result<Events> {
        self.alive = watch::channel(()).0;
        events::events(&self.tables, self.alive.subscribe())
    }

    fn now(&self) -> Result<u32> {
        self.clock.now(&self.kernel)
    }

    fn tick_shift(&self) -> u32 {
        self.clock.shift()
    }

    fn tick_duration(&self) -> Duration {
        self.clock.tick()
    }
}
