use super::{
    clock::Clock,
    counters::Counters,
    host_object::{DATAPATH, HostObject, Pipeline},
    open::possible_cpus,
    sys::{Kernel, TestRun},
    tables::Tables,
};
use crate::{Error, Object, ProgramStats, Result, Sizes, TableStore};
use sluice_datapath::abi::{BackendCount, Count, Reason, ServiceCounts, Settings, Table};
use std::{
    os::fd::{AsFd, AsRawFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

/// The kernel gives back at most a packet of the largest length and what the program put in front of it.
const LARGEST_PACKET: usize = 1 << 16;

/// The datapath program over tables of its own, to be run on single packets. Nothing is pinned or attached; all
/// is gone with the value.
pub struct TestProgram {
    kernel: Kernel,
    object: HostObject,
    tables: Arc<Tables>,
    pipeline: Pipeline,
    cpus: usize,
    out: Vec<u8>,
}

impl TestProgram {
    /// Creates tables of these sizes and loads the program with these settings.
    ///
    /// # Errors
    /// [`Error::Load`] with the verifier's log, [`Error::Kernel`].
    pub fn load(sizes: &Sizes, settings: &Settings) -> Result<Self> {
        let kernel = Kernel::default();
        let tables = Arc::new(Tables::create(&kernel, sizes)?);
        let object = HostObject::parse(&kernel)?;
        let pipeline = object.load_datapath(&kernel, settings, &tables)?;
        Ok(Self {
            kernel,
            object,
            tables,
            pipeline,
            cpus: possible_cpus()?,
            out: vec![0; LARGEST_PACKET],
        })
    }

    /// The same tables under a program with other settings.
    ///
    /// # Errors
    /// As [`TestProgram::load`].
    pub fn reload(&mut self, settings: &Settings) -> Result<()> {
        self.pipeline = self.object.load_datapath(&self.kernel, settings, &self.tables)?;
        Ok(())
    }

    /// Puts the program into a map of programs of somebody who calls it, such as the wrapper of the benchmarks.
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn put_into(&self, programs: BorrowedFd<'_>, index: u32) -> Result<()> {
        let program = self.pipeline.program.fd.as_raw_fd().to_ne_bytes();
        self.kernel.map_write(programs, index, &program).map_err(|errno| {
            Error::kernel(Object::Program(DATAPATH.into()), "let another program call it", errno)
        })
    }

    /// The datapath's clock: its tick now, a tick as a power of two of jiffies, and how long that is.
    ///
    /// # Errors
    /// As [`TestProgram::load`].
    pub fn clock() -> Result<(u32, u32, Duration)> {
        let kernel = Kernel::default();
        let tables = Tables::create(&kernel, &Sizes::smallest())?;
        let clock = Clock::load(&kernel, &HostObject::parse(&kernel)?, &tables)?;
        Ok((clock.now(&kernel)?, clock.shift(), clock.tick()))
    }

    /// The tables.
    pub fn tables(&self) -> Arc<dyn TableStore> {
        self.tables.clone()
    }

    /// Figures of the program.
    pub fn stats(&self) -> ProgramStats {
        self.pipeline.stats
    }

    /// Runs the program on a packet of at least 14 bytes: its verdict (`XDP_*`) and the packet afterwards. The packet
    /// comes from `ingress_ifindex`; zero stands for the loopback link, others need an XDP program or a driver
    /// that registered its receive queues.
    ///
    /// # Errors
    /// [`Error::Kernel`]; `EINVAL` for a packet that is shorter or longer than a test run takes.
    pub fn run(&mut self, packet: &[u8], ingress_ifindex: u32) -> Result<(u32, &[u8])> {
        let run = TestRun { packet, out: &mut self.out, ingress_ifindex };
        let (verdict, length) =
            self.kernel.test_run(self.pipeline.program.fd.as_fd(), run).map_err(|errno| {
                Error::kernel(Object::Program(DATAPATH.into()), "run it on a packet", errno)
            })?;
        Ok((verdict, &self.out[..length]))
    }

    /// As [`crate::Datapath::counts`].
    ///
    /// # Errors
    /// [`Error::Kernel`].
    pub fn counts(&self) -> Result<Vec<Count>> {
        let reasons: Vec<u32> = (0..Reason::COUNT as u32).collect();
        self.counters().sums(Table::Counts, &reasons)
    }

    /// As [`crate::Datapath::backend_counts`].
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::NoSuchEntry`].
    pub fn backend_counts(&self, ids: &[u32]) -> Result<Vec<BackendCount>> {
        self.counters().sums(Table::BackendCounts, ids)
    }

    /// As [`crate::Datapath::service_counts`].
    ///
    /// # Errors
    /// [`Error::Kernel`], [`Error::NoSuchEntry`].
    pub fn service_counts(&self, services: &[u32]) -> Result<Vec<ServiceCounts>> {
        self.counters().sums(Table::ServiceCounts, services)
    }

    fn counters(&self) -> Counters<'_> {
        Counters { kernel: &self.kernel, tables: &self.tables, cpus: self.cpus }
    }
}
