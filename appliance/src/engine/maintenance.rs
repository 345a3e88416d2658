//! What time alone makes necessary.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use sluice_datapath::abi::{ServiceCounter, ServiceCounts};
use sluice_model::{Kind, Name};
use tracing::error;

use super::Engine;
use super::nat::{Ages, Sweeper};
use super::probing::Probing;
use super::views::object_id;
use crate::event::{Event, EventKind, Severity};
use crate::health::{BackendKey, Verdict};
use crate::wire::Readiness;

/// The idle limit of translated flows whose service is removed.
const IDLE_OF_REMOVED: Duration = Duration::from_secs(300);

/// The counters that tell of a full table, and the table.
const FULL: [(ServiceCounter, &str, &str); 3] = [
    (
        ServiceCounter::RememberedFullOld,
        "remembered flows",
        "raise spec.capacity.rememberedFlows of the Gateway: new flows went to backends that should get none",
    ),
    (
        ServiceCounter::RememberedFullNew,
        "remembered flows",
        "raise spec.capacity.rememberedFlows of the Gateway: new flows may be moved by the next change",
    ),
    (
        ServiceCounter::NatExhausted,
        "ports of the NAT pool",
        "add addresses to the pool: new flows were dropped",
    ),
];

/// What is remembered from one beat to the next.
#[derive(Debug, Default)]
pub(super) struct Maintenance {
    pub(super) probing: Probing,
    pub(super) verdicts: HashMap<BackendKey, Verdict>,
    /// When all routes were last asked for.
    pub(super) routes_asked: Option<Instant>,
    /// Next hops may be known that nobody needs any more.
    pub(super) has_spare_hops: bool,
    sweeper: Sweeper,
    counts: HashMap<Name, ServiceCounts>,
}

impl Engine {
    /// Every beat: slots settle, idle translated flows end, silent neighbours are asked, links are looked at.
    pub(super) async fn maintain(&mut self) {
        self.return_if_over().await;
        if self.directory_waits && self.waiting.is_none() {
            self.read_directory().await;
        }
        if self.maintenance.has_spare_hops && !self.planning.state.is_in_transition() {
            self.maintenance.has_spare_hops = false;
            let destinations = self.destinations(&self.desired.objects);
            self.want_hops(&destinations).await;
        }
        self.probe().await;
        if let Err(error) = self.look_after() {
            error!(%error, "the datapath cannot be looked after");
        }
        if self.planning.state.is_in_transition() || !self.readiness.borrow().ready {
            self.dirty.plan = true;
        }
    }

    fn look_after(&mut self) -> sluice_kernel::Result<()> {
        self.check_links()?;
        self.sweep()?;
        self.look_for_full_tables()?;
        self.look_after_cards()?;
        Ok(())
    }

    fn sweep(&mut self) -> sluice_kernel::Result<()> {
        let addresses =
            self.planning.state.pool_numbers().map(|(_, number)| number + 1).max().unwrap_or(0);
        if addresses == 0 {
            self.planning.set_nat_backends(Some(HashSet::new()));
            return Ok(());
        }
        let ages =
            Ages { tick: self.datapath.now()?, tick_duration: self.datapath.tick_duration() };
        let idle: HashMap<_, _> = self
            .desired
            .objects
            .services()
            .filter_map(|service| {
                Some((self.index.service(service.name())?, service.spec.idle_timeout.as_duration()))
            })
            .collect();
        let idle = |number: u32| idle.get(&number).copied().unwrap_or(IDLE_OF_REMOVED);
        let tables = self.datapath.tables();
        self.maintenance.sweeper.sweep(&*tables, addresses, ages, &idle);
        self.planning.set_nat_backends(self.maintenance.sweeper.backends(addresses));
        Ok(())
    }

    /// Alarms when a table was found full since the last look.
    fn look_for_full_tables(&mut self) -> sluice_kernel::Result<()> {
        let (names, numbers): (Vec<_>, Vec<_>) =
            self.index.services().map(|(name, number)| (name.clone(), number)).unzip();
        let counts = self.datapath.service_counts(&numbers)?;
        let before = std::mem::take(&mut self.maintenance.counts);
        for (name, counts) in names.iter().zip(&counts) {
            let Some(old) = before.get(name) else { continue };
            for (counter, table, way_out) in FULL {
                let more = counts[counter as usize].saturating_sub(old[counter as usize]);
                if more > 0 {
                    let message =
                        format!("no room among the {table} for {more} new flows; {way_out}");
                    self.log.push(
                        Event::new(EventKind::TableFull, Severity::Error, message)
                            .about(format_args!("Service/{name}"))
                            .with("table", table)
                            .with("flows", more),
                    );
                }
            }
        }
        self.maintenance.counts = names.into_iter().zip(counts).collect();
        Ok(())
    }

    /// Plans what is desired against what is known, and does what differs.
    pub(super) fn reconcile(&mut self) {
        self.dirty.plan = false;
        let objects = self.desired.objects.clone();
        let done = self.plan(&objects).map_err(super::ChangeError::from);
        let done = done.and_then(|plan| self.program(&objects, plan, &HashSet::new()));
        match done {
            Ok(_) => {
                self.state_conditions();
                self.state_of_cards();
                self.conditions.set_whole(
                    "Programmed",
                    true,
                    "Programmed",
                    "the configuration is programmed",
                );
                self.readiness.send_if_modified(|readiness| {
                    let now = Readiness { ready: true, reason: None };
                    let is_new = *readiness != now;
                    *readiness = now;
                    is_new
                });
            }
            Err(error) => {
                let error = self.undo_reconcile(error);
                self.not_programmed(error);
            }
        }
        if let Some(gateway) = objects.gateway() {
            let id = object_id(Kind::Gateway, gateway.name());
            let programmed = self.readiness.borrow().clone();
            let message =
                programmed.reason.unwrap_or_else(|| "the configuration is programmed".to_owned());
            let reason = if programmed.ready { "Programmed" } else { "Failed" };
            self.conditions.set(&id, "Programmed", programmed.ready, reason, message);
        }
    }

    /// After a failure half way only the tables say what is in them.
    fn undo_reconcile(&mut self, error: super::ChangeError) -> String {
        if !error.concerns_tables() {
            return error.to_string();
        }
        match self.doubt() {
            Ok(()) => error.to_string(),
            Err(second) => format!("{error}; and the tables cannot be read: {second}"),
        }
    }

    fn not_programmed(&mut self, error: String) {
        let is_news = self.readiness.borrow().reason.as_deref() != Some(&error);
        if is_news {
            error!(error, "the configuration is not programmed; it is tried again every second");
        }
        self.conditions.set_whole("Programmed", false, "Failed", error.clone());
        self.readiness.send_replace(Readiness { ready: false, reason: Some(error) });
    }

    /// Tells an event of the datapath.
    pub(super) fn tell_packet(&mut self, packet: &sluice_datapath::abi::Event) {
        let link = self.hops.link(packet.ifindex).map(|link| link.name.as_str());
        self.log.push(super::packets::event(packet, &self.index, link));
    }
}
