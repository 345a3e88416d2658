//! Objects as the API answers them: what is wanted, and what was read back of it.

use std::collections::HashMap;
use std::net::IpAddr;

use jiff::Timestamp;
use sluice_datapath::abi::{BackendCount, Reason, ServiceCounter, Slot, SlotRange};
use sluice_kernel::{Result, tables};
use sluice_model::objects::Entry;
use sluice_model::status::{
    BackendStatus, GatewayStatus, HealthState, LinkStatus, NextHop, PrefilterAction,
    PrefilterStatus, PrefixCount, PrefixHits, ServiceStatus, TopPrefix,
};
use sluice_model::{
    BackendState, HealthType, Kind, LinkName, Name, Prefilter, Prefix, Service, Weight,
};

use super::Engine;
use super::counters::{is_drop, top_prefixes};
use super::hops::Unresolved;
use crate::health::{BackendKey, Report};
use crate::trace::mac;
use crate::wire::{self, Origin};

/// Prefixes of a prefilter that are told.
const TOP_PREFIXES: usize = 10;

/// Slots of a service: how many there are, move, and belong to each backend.
#[derive(Debug, Default)]
struct SlotCount {
    slots: u32,
    moving: u32,
    of: HashMap<u32, u32>,
}

impl Engine {
    /// The gateways (there is at most one), or the one with this name.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn gateway_views(&mut self, only: Option<&Name>) -> Result<Vec<wire::Gateway>> {
        let entries = self.entries(Kind::Gateway, only);
        let gateways = entries.iter().filter_map(|entry| Some((entry, entry.object.as_gateway()?)));
        Ok(gateways
            .map(|(entry, object)| wire::Gateway::new(object, origin(entry), self.gateway_status()))
            .collect())
    }

    /// The services, or the one with this name.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn service_views(&mut self, only: Option<&Name>) -> Result<Vec<wire::Service>> {
        let mut views = Vec::new();
        self.cards.read_all_counters();
        let traffic = self.traffic_of(only)?;
        for entry in self.entries(Kind::Service, only) {
            let Some(object) = entry.object.as_service() else { continue };
            let status = self.service_status(object, &traffic)?;
            views.push(wire::Service::new(object, origin(&entry), status));
        }
        Ok(views)
    }

    /// The prefilters, or the one with this name.
    ///
    /// # Errors
    /// When the datapath cannot be read.
    pub fn prefilter_views(&mut self, only: Option<&Name>) -> Result<Vec<wire::Prefilter>> {
        let entries = self.entries(Kind::Prefilter, only);
        self.cards.read_all_counters();
        let hits = self.datapath.prefilter_hits()?;
        let top = top_prefixes(&hits, self.cards.counters.prefixes());
        let denied =
            self.counts()?.get(Reason::DropDenied as usize).map_or(0, |count| count.packets);
        let alone = self.desired.objects.prefilters().count() == 1;
        let mut views = Vec::new();
        for entry in entries {
            let Some(object) = entry.object.as_prefilter() else { continue };
            let mut status = prefilter_status(object, &top);
            if alone {
                status.hits.deny = denied;
            }
            status.conditions = self.conditions.of(&object_id(Kind::Prefilter, object.name()));
            views.push(wire::Prefilter::new(object, origin(&entry), status));
        }
        Ok(views)
    }

    fn entries(&self, kind: Kind, only: Option<&Name>) -> Vec<Entry> {
        let of_kind = self.desired.objects.of_kind(kind);
        of_kind
            .filter(|(id, _)| only.is_none_or(|name| *name == id.name))
            .map(|(_, entry)| entry.clone())
            .collect()
    }

    pub(super) fn gateway_status(&self) -> GatewayStatus {
        let Some(gateway) = self.desired.objects.gateway() else { return GatewayStatus::default() };
        let link = |link: &sluice_model::Link| self.link_status(link);
        GatewayStatus {
            conditions: self.conditions.of(&object_id(Kind::Gateway, gateway.name())),
            links: gateway.spec.links.iter().map(link).collect(),
        }
    }

    fn link_status(&self, link: &sluice_model::Link) -> LinkStatus {
        let actual = self.links.get(&link.name);
        LinkStatus {
            name: link.name.clone(),
            requested: link.attach,
            actual: actual.map(super::links::Actual::mode).unwrap_or_default(),
            reason: actual.and_then(super::links::Actual::reason),
            stages: self.stages_on(&link.name),
        }
    }

    fn service_status(
        &self,
        service: &Service,
        traffic: &HashMap<u32, BackendCount>,
    ) -> Result<ServiceStatus> {
        let number = self.index.service(service.name());
        let slots = number.map(|number| self.count_slots(number)).unwrap_or_default();
        let drops = match number {
            Some(number) => self.datapath.service_counts(&[number])?,
            None => Vec::new(),
        };
        let drops = drops.iter().flat_map(|counts| ServiceCounter::ALL.iter().zip(counts));
        let drops = drops.filter(|(counter, count)| is_drop(**counter) && **count > 0);
        let status = |key: &BackendKey, weight, state: BackendState| {
            self.backend_status(service, key, weight, state, &slots, traffic)
        };
        let mut backends = Vec::new();
        let mut declared = std::collections::HashSet::new();
        for backend in &service.spec.backends {
            let key = key_of(service, backend);
            declared.extend(self.index.backend(&key));
            backends.push(status(&key, backend.weight, backend.state));
        }
        // Removed, but not yet forgotten: their flows go on until the drain timeout.
        for (key, id) in self.index.backends_of(service.name()) {
            if !declared.contains(&id) {
                backends.push(status(key, Weight::ZERO, BackendState::Drain));
            }
        }
        Ok(ServiceStatus {
            conditions: self.conditions.of(&object_id(Kind::Service, service.name())),
            backends,
            slots: slots.slots,
            moving_slots: slots.moving,
            drops: drops.map(|(counter, count)| (counter.name().to_owned(), *count)).collect(),
        })
    }

    fn backend_status(
        &self,
        service: &Service,
        key: &BackendKey,
        weight: Weight,
        wanted: BackendState,
        slots: &SlotCount,
        traffic: &HashMap<u32, BackendCount>,
    ) -> BackendStatus {
        let id = self.index.backend(key);
        let report = self.monitor.report(key);
        let count = id.and_then(|id| traffic.get(&id)).copied().unwrap_or_default();
        let owned = id.and_then(|id| slots.of.get(&id)).copied().unwrap_or(0);
        BackendStatus {
            address: key.address,
            port: key.port,
            weight,
            state: state(service, wanted, report.as_ref()),
            since: self.since(key, report.as_ref()),
            last_error: report.and_then(|report| report.last_error),
            share: if slots.slots == 0 { 0.0 } else { f64::from(owned) / f64::from(slots.slots) },
            packets: count.forward.packets,
            bytes: count.forward.bytes,
            next_hop: self.next_hop(key.address),
        }
    }

    fn since(&self, key: &BackendKey, report: Option<&Report>) -> Timestamp {
        self.since.get(key).copied().or(report.map(|report| report.since)).unwrap_or(self.started)
    }

    pub(super) fn next_hop(&self, address: IpAddr) -> NextHop {
        let unresolved = |why: &Unresolved| NextHop::Unresolved { unresolved: why.to_string() };
        match self.hops.hop(address) {
            Err(why) => unresolved(&why),
            Ok(hop) => {
                let link = self
                    .hops
                    .link(hop.ifindex)
                    .and_then(|link| LinkName::new(link.name.clone()).ok());
                link.map_or_else(
                    || unresolved(&Unresolved::NoLink(hop.ifindex)),
                    |link| NextHop::Resolved { link, mac: mac(hop.mac) },
                )
            }
        }
    }

    fn count_slots(&self, service: u32) -> SlotCount {
        let store = self.datapath.tables();
        let services = store.view(tables::SERVICES);
        if service >= services.len() {
            return SlotCount::default();
        }
        let range = SlotRange::from_word(services.read(service).slots.get());
        let slots = store.words(tables::SLOTS.table());
        let part = slots.get(range.base as usize..).unwrap_or_default();
        let mut count = SlotCount::default();
        for word in part.iter().take(range.mask as usize + 1) {
            let slot = Slot::from_word(word.get());
            count.slots += 1;
            count.moving += u32::from(slot.is_moving());
            *count.of.entry(slot.now).or_default() += 1;
        }
        count
    }

    /// Slots that move, of all services.
    pub(super) fn moving_slots(&self) -> u64 {
        self.index.services().map(|(_, number)| u64::from(self.count_slots(number).moving)).sum()
    }

    fn traffic_of(&self, only: Option<&Name>) -> Result<HashMap<u32, BackendCount>> {
        let ids: Vec<_> = match only {
            Some(name) => self.index.backends_of(name).map(|(_, id)| id).collect(),
            None => self.index.backends().map(|(_, id)| id).collect(),
        };
        let counts = self.datapath.backend_counts(&ids)?;
        let with_cards = |(id, mut count): (u32, BackendCount)| {
            let on_cards = self.cards.counters.backend(id);
            count.forward.packets += on_cards.packets;
            count.forward.bytes += on_cards.bytes;
            (id, count)
        };
        Ok(ids.into_iter().zip(counts).map(with_cards).collect())
    }

    /// Whether a backend serves, for the totals.
    pub(super) fn state_of(
        &self,
        service: &Service,
        backend: &sluice_model::Backend,
    ) -> HealthState {
        let report = self.monitor.report(&key_of(service, backend));
        state(service, backend.state, report.as_ref())
    }
}

pub(super) fn object_id(kind: Kind, name: &Name) -> sluice_model::ObjectId {
    sluice_model::ObjectId { kind, name: name.clone() }
}

/// The identity of a backend of a service.
pub(super) fn key_of(service: &Service, backend: &sluice_model::Backend) -> BackendKey {
    BackendKey {
        service: service.name().clone(),
        address: backend.address,
        port: service.spec.backend_port(backend),
    }
}

fn state(service: &Service, wanted: BackendState, report: Option<&Report>) -> HealthState {
    match (wanted, report) {
        (BackendState::Disabled, _) => HealthState::Disabled,
        (BackendState::Drain, _) => HealthState::Draining,
        (BackendState::Active, Some(report)) => report.verdict.into(),
        (BackendState::Active, None) if service.spec.health.check == HealthType::None => {
            HealthState::Up
        }
        (BackendState::Active, None) => HealthState::Unknown,
    }
}

fn origin(entry: &Entry) -> Origin {
    let is_file = matches!(entry.source, sluice_model::objects::Source::File { .. });
    let line = entry.location.as_ref().filter(|_| is_file).map(|location| location.start().line);
    Origin { source: entry.source.clone(), line }
}

fn prefilter_status(prefilter: &Prefilter, top: &[wire::TopPrefixCount]) -> PrefilterStatus {
    let spec = &prefilter.spec;
    let count = |ipv4: bool| {
        spec.deny
            .iter()
            .chain(&spec.allow)
            .filter(|prefix: &&Prefix| prefix.is_ipv4() == ipv4)
            .count() as u64
    };
    let has = |top: &&wire::TopPrefixCount| match top.action {
        PrefilterAction::Deny => spec.deny.contains(&top.prefix),
        PrefilterAction::Allow => spec.allow.contains(&top.prefix),
    };
    let own: Vec<_> = top.iter().filter(has).collect();
    let hits = |action| own.iter().filter(|top| top.action == action).map(|top| top.hits).sum();
    PrefilterStatus {
        conditions: Vec::new(),
        prefixes: PrefixCount { ipv4: count(true), ipv6: count(false) },
        hits: PrefixHits { deny: hits(PrefilterAction::Deny), allow: hits(PrefilterAction::Allow) },
        top_prefixes: own
            .into_iter()
            .take(TOP_PREFIXES)
            .map(|top| TopPrefix { prefix: top.prefix, action: top.action, hits: top.hits })
            .collect(),
    }
}
