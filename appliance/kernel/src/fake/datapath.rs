use super::{World, tables::Tables, world::State};
use crate::{
    AttachMode, AttachRequest, Attached, Attachment, Committed, Errno, Error, Events, Object,
    ProgramStats, Result, Sizes, TableStore, XdpMode, growth,
};
use sluice_datapath::abi::{
    BackendCount, Count, PrefilterHit, Reason, ServiceCounts, Settings, Table,
};
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio_stream::wrappers::UnboundedReceiverStream;

/// The datapath of a [`World`]. Dropping it leaves tables and attachments, as a killed daemon would.
pub struct Datapath {
    world: World,
    tables: Arc<Tables>,
    staged: Option<Arc<Tables>>,
}

impl Datapath {
    pub(super) fn new(world: World, tables: Arc<Tables>) -> Self {
        Self { world, tables, staged: None }
    }

    fn check_index(&self, table: Table, index: u32) -> Result<()> {
        let entries = self.tables.entries(table);
        if index < entries { Ok(()) } else { Err(Error::NoSuchEntry { table, index, entries }) }
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
        let sizes = growth::grown(&self.tables.sizes(), wanted)?;
        let staged = Arc::new(self.tables.grown(sizes));
        self.staged = Some(staged.clone());
        Ok(staged)
    }

    fn unstage(&mut self) -> Result<()> {
        self.staged = None;
        Ok(())
    }

    fn commit(&mut self, settings: &[Settings]) -> Result<Committed> {
        let mut state = self.world.lock();
        let staged = self.staged.clone().ok_or(Error::NothingStaged)?;
        let ours: Vec<u32> = state
            .links
            .iter()
            .filter(|(_, link)| link.attachment.is_some())
            .map(|(&ifindex, _)| ifindex)
            .collect();
        let find = |ifindex| settings.iter().find(|settings| settings.ifindex == ifindex);
        if let Some(&missing) = ours.iter().find(|&&ifindex| find(ifindex).is_none()) {
            return Err(Error::NoSettings { link: state.name(missing) });
        }
        let mut switched = Vec::new();
        for ifindex in ours {
            let program = state.new_id();
            switched.push(state.name(ifindex));
            let Some(link) = state.links.get_mut(&ifindex) else { continue };
            link.tables = Some(staged.clone());
            if let (Some(attachment), Some(settings)) = (&mut link.attachment, find(ifindex)) {
                attachment.program = program;
                attachment.settings = Some(*settings);
            }
        }
        state.pinned = Some(staged.clone());
        if staged.entries(Table::Events) != self.tables.entries(Table::Events) {
            state.events.clear();
        }
        drop(state);
        (self.tables, self.staged) = (staged, None);
        Ok(Committed { switched, vanished: Vec::new(), merged_words: 0 })
    }

    fn attach(&mut self, request: &AttachRequest) -> Result<Attached> {
        let mut state = self.world.lock();
        let ifindex = request.settings.ifindex;
        let name = state.name(ifindex);
        let (program, bpf_link) = (state.new_id(), state.new_id());
        let Some(link) = state.links.get_mut(&ifindex) else {
            return Err(Error::NoSuchLink { link: name });
        };
        let replaced = match link.foreign.clone() {
            Some(foreign) if !request.replace_foreign => {
                return Err(Error::Foreign { link: name, program: Box::new(foreign) });
            }
            foreign => foreign,
        };
        let old = link.attachment.clone().filter(|old| request.mode.allows(old.mode));
        let (mode, why, bpf_link) = match (&old, request.mode, link.native_refusal.clone()) {
            (Some(old), ..) => (old.mode, old.why.clone(), old.bpf_link),
            (None, AttachMode::Generic, _) => (XdpMode::Generic, None, bpf_link),
            (None, _, None) => (XdpMode::Native, None, bpf_link),
            (None, AttachMode::Auto, why) => (XdpMode::Generic, why, bpf_link),
            (None, AttachMode::Native, kernel) => {
                let (object, errno) = (Object::Link(name), Errno::EOPNOTSUPP);
                return Err(Error::Kernel {
                    object,
                    operation: "attach a native XDP program",
                    errno,
                    kernel,
                });
            }
        };
        link.foreign = None;
        link.tables = Some(self.tables.clone());
        let stats = ProgramStats::default();
        link.attachment = Some(Attachment {
            link: name.clone(),
            mode,
            program,
            bpf_link,
            stats,
            settings: Some(request.settings),
            current: true,
            why: why.clone(),
        });
        Ok(Attached {
            link: name,
            mode,
            program,
            bpf_link,
            stats,
            why,
            updated: old.is_some(),
            replaced,
        })
    }

    fn attached(&self) -> Result<Vec<Attachment>> {
        let state: &State = &self.world.lock();
        let ours = state.links.values().filter_map(|link| {
            let mut attachment = link.attachment.clone()?;
            attachment.link.name = link.link.name.clone();
            attachment.current =
                link.tables.as_ref().is_some_and(|tables| Arc::ptr_eq(tables, &self.tables));
            Some(attachment)
        });
        Ok(ours.collect())
    }

    fn detach(&mut self, ifindex: u32) -> Result<bool> {
        let mut state = self.world.lock();
        let Some(link) = state.links.get_mut(&ifindex) else { return Ok(false) };
        link.tables = None;
        Ok(link.attachment.take().is_some())
    }

    fn counts(&self) -> Result<Vec<Count>> {
        let state = self.world.lock();
        Ok(Reason::ALL
            .iter()
            .map(|reason| state.counts.get(reason).copied().unwrap_or_default())
            .collect())
    }

    fn backend_counts(&self, ids: &[u32]) -> Result<Vec<BackendCount>> {
        let state = self.world.lock();
        ids.iter()
            .map(|id| {
                self.check_index(Table::BackendCounts, *id)?;
                Ok(state.backend_counts.get(id).copied().unwrap_or_default())
            })
            .collect()
    }

    fn service_counts(&self, services: &[u32]) -> Result<Vec<ServiceCounts>> {
        let state = self.world.lock();
        services
            .iter()
            .map(|service| {
                self.check_index(Table::ServiceCounts, *service)?;
                Ok(state.service_counts.get(service).copied().unwrap_or_default())
            })
            .collect()
    }

    fn prefilter_hits(&self) -> Result<Vec<PrefilterHit>> {
        Ok(self.world.lock().prefilter_hits.clone())
    }

    fn reset_backend_count(&mut self, id: u32) -> Result<()> {
        self.check_index(Table::BackendCounts, id)?;
        self.world.lock().backend_counts.remove(&id);
        Ok(())
    }

    fn reset_service_counts(&mut self, service: u32) -> Result<()> {
        self.check_index(Table::ServiceCounts, service)?;
        self.world.lock().service_counts.remove(&service);
        Ok(())
    }

    fn events(&mut self) -> Result<Events> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        // There is one reader.
        self.world.lock().events = vec![sender];
        let stream = UnboundedReceiverStream::new(receiver);
        Ok(Events::new(Box::pin(stream), Arc::new(AtomicU64::new(0))))
    }

    fn now(&self) -> Result<u32> {
        Ok(self.world.lock().tick)
    }

    fn tick_shift(&self) -> u32 {
        6
    }

    fn tick_duration(&self) -> Duration {
        Duration::from_millis(256)
    }
}
