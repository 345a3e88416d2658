use super::Faults;
use crate::{
    AttachRequest, Attached, Attachment, Committed, Error, Events, Object, Result, Sizes,
    TableStore,
};
use sluice_datapath::abi::{BackendCount, Count, PrefilterHit, ServiceCounts, Settings};
use std::{sync::Arc, time::Duration};

/// A datapath whose calls fail on demand, by the names of the trait's methods. A call that fails does nothing.
pub struct Datapath<D> {
    inner: D,
    faults: Faults,
}

impl<D: crate::Datapath> Datapath<D> {
    /// Wraps a datapath.
    pub fn new(inner: D, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The wrapped one.
    pub fn into_inner(self) -> D {
        self.inner
    }

    fn check(&self, call: &'static str) -> Result<()> {
        self.faults.check(call).map_err(|errno| Error::kernel(Object::Tables, call, errno))
    }
}

impl<D: crate::Datapath> crate::Datapath for Datapath<D> {
    fn tables(&self) -> Arc<dyn TableStore> {
        self.inner.tables()
    }

    fn sizes(&self) -> Sizes {
        self.inner.sizes()
    }

    fn stage(&mut self, wanted: &Sizes) -> Result<Arc<dyn TableStore>> {
        self.check("stage")?;
        self.inner.stage(wanted)
    }

    fn unstage(&mut self) -> Result<()> {
        self.check("unstage")?;
        self.inner.unstage()
    }

    fn commit(&mut self, settings: &[Settings]) -> Result<Committed> {
        self.check("commit")?;
        self.inner.commit(settings)
    }

    fn attach(&mut self, request: &AttachRequest) -> Result<Attached> {
        self.check("attach")?;
        self.inner.attach(request)
    }

    fn attached(&self) -> Result<Vec<Attachment>> {
        self.check("attached")?;
        self.inner.attached()
    }

    fn detach(&mut self, ifindex: u32) -> Result<bool> {
        self.check("detach")?;
        self.inner.detach(ifindex)
    }

    fn counts(&self) -> Result<Vec<Count>> {
        self.check("counts")?;
        self.inner.counts()
    }

    fn backend_counts(&self, ids: &[u32]) -> Result<Vec<BackendCount>> {
        self.check("backend_counts")?;
        self.inner.backend_counts(ids)
    }

    fn service_counts(&self, services: &[u32]) -> Result<Vec<ServiceCounts>> {
        self.check("service_counts")?;
        self.inner.service_counts(services)
    }

    fn prefilter_hits(&self) -> Result<Vec<PrefilterHit>> {
        self.check("prefilter_hits")?;
        self.inner.prefilter_hits()
    }

    fn reset_backend_count(&mut self, id: u32) -> Result<()> {
        self.check("reset_backend_count")?;
        self.inner.reset_backend_count(id)
    }

    fn reset_service_counts(&mut self, service: u32) -> Result<()> {
        self.check("reset_service_counts")?;
        self.inner.reset_service_counts(service)
    }

    fn events(&mut self) -> Result<Events> {
        self.check("events")?;
        self.inner.events()
    }

    fn now(&self) -> Result<u32> {
        self.check("now")?;
        self.inner.now()
    }

    fn tick_shift(&self) -> u32 {
        self.inner.tick_shift()
    }

    fn tick_duration(&self) -> Duration {
        self.inner.tick_duration()
    }
}
