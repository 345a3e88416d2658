//! Which services are on a card: those that see most packets, of those that it can deliver alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use sluice_datapath::abi::{
    BackendFlags, CardBackend, CardService, CardServiceKey4, CardServiceKey6, CardSlot, NO_BACKEND,
    ServiceFlags, Slot, port_key,
};
use sluice_model::{DeliveryMode, Name, PortSpec, Protocol, ServiceSpec, status::LeftOut};

use super::{
    entry::CardServiceKey,
    heat::Heat,
    prefixes::{LOYALTY, LOYALTY_RATE},
};
use crate::stages::service::{backend::table_address, state::ServiceState};

/// Why a service is not on a card while its slots are moving.
pub(crate) const MOVING: &str = "its slots are moving: the flows are remembered on the host";
/// Names that are told of a group of services.
const EXAMPLES: usize = 3;

/// Room for services on a card, in entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServiceRoom {
    /// Services at IPv4 and at IPv6 addresses.
    pub services: [usize; 2],
    /// Slots of all together.
    pub slots: u32,
    /// Backends of all together.
    pub backends: u32,
}

/// A service as it stands on a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardServiceImage {
    /// What packets are found by.
    pub key: CardServiceKey,
    /// Its entry.
    pub entry: CardService,
    /// Its slots, from [`CardService::base`] on.
    pub slots: Arc<[CardSlot]>,
    /// Its backends by their index on the card.
    pub backends: BTreeMap<u32, CardBackend>,
}

/// A service that a card could deliver.
#[derive(Clone, Debug)]
pub(crate) struct Eligible {
    name: Name,
    key: CardServiceKey,
    flags: ServiceFlags,
    index: u32,
    /// Ids of the backends of its slots.
    slots: Vec<u32>,
    backends: BTreeMap<u32, CardBackend>,
}

impl Eligible {
    /// The family of its address, as an index.
    pub(crate) const fn family(&self) -> usize {
        self.key.family()
    }

    /// Slots that it needs.
    pub(crate) fn slots(&self) -> usize {
        self.slots.len()
    }

    /// Backends that it needs.
    pub(crate) fn backends(&self) -> usize {
        self.backends.len()
    }
}

/// Services that were chosen, and why the others were not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChosenServices {
    /// By name.
    pub chosen: BTreeMap<Name, CardServiceImage>,
    /// Packets per second that they get.
    pub value: f64,
    /// The others, by reason.
    pub left_out: Vec<LeftOut>,
}

/// What a service is judged by.
pub(crate) struct Judged<'a> {
    /// What is wanted.
    pub(crate) spec: &'a ServiceSpec,
    /// What the host's tables hold once the plan is carried out.
    pub(crate) state: &'a ServiceState,
    /// The link that it would be on.
    pub(crate) ifindex: u32,
}

/// A service as a card could deliver it, or why none can.
pub(crate) fn judge(
    name: &Name,
    judged: &Judged,
    slot: &dyn Fn(u32) -> Slot,
) -> Result<Eligible, String> {
    let Judged { spec, state, ifindex } = judged;
    if spec.mode != DeliveryMode::Dsr {
        return Err("its mode is nat, and translated flows have their records on the host".into());
    }
    let PortSpec::One(port) = spec.port else {
        return Err("it has a range of ports, and a card finds services by single ports".into());
    };
    if !spec.allowed_sources.is_empty() {
        return Err("it has allowedSources, which the card does not check".into());
    }
    if state.moving > 0 {
        return Err(MOVING.into());
    }
    let record = state.record.ok_or("its record is not known yet")?;
    if record.flags.has(ServiceFlags::REFUSE) {
        return Err("no backend may take its packets, so the host refuses them".into());
    }
    let base = state.slots.base;
    let slots: Vec<Slot> = (0..state.slot_count()).map(|i| slot(base + i)).collect();
    if slots.iter().any(|slot| slot.is_moving()) {
        return Err(MOVING.into());
    }
    let used: BTreeSet<u32> =
        slots.iter().map(|slot| slot.now).filter(|&id| id != NO_BACKEND).collect();
    if used.is_empty() {
        return Err("none of its slots has a backend".into());
    }
    let mut backends = BTreeMap::new();
    for (endpoint, backend) in state.backends.iter().filter(|(_, b)| used.contains(&b.id)) {
        let record = &backend.record;
        if !record.flags.has(BackendFlags::RESOLVED) || record.flags.has(BackendFlags::DEAD) {
            return Err(format!("its backend {endpoint} has no known way"));
        }
        if record.ifindex != *ifindex {
            return Err(format!("its backend {endpoint} is reached by another link"));
        }
        backends.insert(backend.id, CardBackend::copy_of(backend.id, record));
    }
    if backends.len() != used.len() {
        return Err("its slots name a backend that is gone".into());
    }
    let protocol = match spec.protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
    };
    let port = port_key(protocol, port.get());
    let address = table_address(spec.address);
    let key = match spec.address {
        IpAddr::V4(_) => CardServiceKey::V4(CardServiceKey4 { address: address[0], port }),
        IpAddr::V6(_) => CardServiceKey::V6(CardServiceKey6 { address, port }),
    };
    Ok(Eligible {
        name: name.clone(),
        key,
        flags: ServiceFlags(record.flags.0 & (ServiceFlags::USED | ServiceFlags::AFFINITY)),
        index: state.index,
        slots: slots.iter().map(|slot| slot.now).collect(),
        backends,
    })
}

/// Chooses among `eligible` what fits; `held` is on the card now and keeps its places. `closed` says why services of
/// a family must not be there at all.
pub(crate) fn choose(
    eligible: &[Eligible],
    room: ServiceRoom,
    closed: [Option<&str>; 2],
    held: &BTreeMap<Name, CardServiceImage>,
    heat: &Heat,
) -> ChosenServices {
    let score = |service: &Eligible| {
        let rate = heat.service(&service.name);
        if held.contains_key(&service.name) { rate * LOYALTY + LOYALTY_RATE } else { rate }
    };
    let mut order: Vec<&Eligible> = eligible.iter().collect();
    order.sort_by(|a, b| {
        score(b)
            .total_cmp(&score(a))
            .then(held.contains_key(&b.name).cmp(&held.contains_key(&a.name)))
            .then(a.slots.len().cmp(&b.slots.len()))
            .then(a.name.cmp(&b.name))
    });
    let mut left_out = Grouped::default();
    let mut taken: Vec<&Eligible> = Vec::new();
    let (mut services, mut slots, mut backends) = ([0, 0], 0_usize, 0_usize);
    for service in order {
        let family = service.key.family();
        let needed = (service.slots.len(), service.backends.len());
        if let Some(why) = closed[family] {
            left_out.add(&service.name, why);
        } else if needed.0 > room.slots as usize {
            let (slots, room) = (needed.0, room.slots);
            left_out.add(
                &service.name,
                &format!("needs a table of {slots} slots, the card took {room}"),
            );
        } else if needed.1 > room.backends as usize {
            let (backends, room) = (needed.1, room.backends);
            left_out.add(
                &service.name,
                &format!("needs a table of {backends} backends, the card took {room}"),
            );
        } else if services[family] >= room.services[family]
            || slots + needed.0 > room.slots as usize
            || backends + needed.1 > room.backends as usize
        {
            left_out.add(&service.name, "the card is full, and hotter services are there");
        } else {
            services[family] += 1;
            slots += needed.0;
            backends += needed.1;
            taken.push(service);
        }
    }
    let mut places = Places::new(room);
    let mut value = 0.0;
    let mut chosen = BTreeMap::new();
    // Those that are there keep their places; only then do others look for theirs.
    taken.sort_by_key(|service| !held.contains_key(&service.name));
    for service in taken {
        match places.image(service, held.get(&service.name)) {
            Some(image) => {
                value += heat.service(&service.name);
                chosen.insert(service.name.clone(), image);
            }
            None => left_out
                .add(&service.name, "no room in one piece is left among the slots on the card"),
        }
    }
    ChosenServices { chosen, value, left_out: left_out.told() }
}

/// Places in the card's arrays that are not taken yet.
struct Places {
    /// Free runs of slots: first, and behind the last.
    slots: Vec<(u32, u32)>,
    backends: u32,
    used: BTreeSet<u32>,
}

impl Places {
    fn new(room: ServiceRoom) -> Self {
        Self { slots: vec![(0, room.slots)], backends: room.backends, used: BTreeSet::new() }
    }

    fn image(
        &mut self,
        service: &Eligible,
        held: Option<&CardServiceImage>,
    ) -> Option<CardServiceImage> {
        let length = service.slots.len() as u32;
        let kept = held.filter(|held| held.entry.mask + 1 == length).map(|held| held.entry.base);
        let base = kept.filter(|&base| self.claim(base, length)).or_else(|| self.find(length))?;
        let mut numbers = BTreeMap::new();
        for &id in service.backends.keys() {
            let kept = held.and_then(|held| {
                let mut known = held.backends.iter();
                known.find(|(_, backend)| backend.backend == id).map(|(number, _)| *number)
            });
            let kept = kept.filter(|number| *number < self.backends && !self.used.contains(number));
            let free = || (0..self.backends).find(|number| !self.used.contains(number));
            let number = kept.or_else(free)?;
            self.used.insert(number);
            numbers.insert(id, number);
        }
        let slot =
            |id: &u32| numbers.get(id).map_or(CardSlot::EMPTY, |number| CardSlot::new(*number));
        let entry =
            CardService { base, mask: length - 1, flags: service.flags, service: service.index };
        Some(CardServiceImage {
            key: service.key,
            entry,
            slots: service.slots.iter().map(slot).collect(),
            backends: service
                .backends
                .iter()
                .filter_map(|(id, backend)| Some((*numbers.get(id)?, *backend)))
                .collect(),
        })
    }

    fn find(&mut self, length: u32) -> Option<u32> {
        let base = self.slots.iter().find(|(first, end)| end - first >= length)?.0;
        self.claim(base, length).then_some(base)
    }

    fn claim(&mut self, base: u32, length: u32) -> bool {
        let end = base.saturating_add(length);
        let run = self.slots.iter().position(|(first, last)| *first <= base && end <= *last);
        let Some((first, last)) = run.map(|index| self.slots.remove(index)) else { return false };
        self.slots.extend([(first, base), (end, last)].into_iter().filter(|(from, to)| from < to));
        self.slots.sort_unstable();
        true
    }
}

/// Services by the reason why they are left out, in the order in which the reasons came up.
#[derive(Default)]
pub(crate) struct Grouped {
    groups: Vec<LeftOut>,
}

impl Grouped {
    pub(crate) fn add(&mut self, name: &Name, reason: &str) {
        let group = match self.groups.iter_mut().find(|group| group.reason == reason) {
            Some(group) => group,
            None => {
                let reason = reason.to_owned();
                self.groups.push(LeftOut { entries: 0, examples: Vec::new(), reason });
                let Some(group) = self.groups.last_mut() else { return };
                group
            }
        };
        group.entries += 1;
        if group.examples.len() < EXAMPLES {
            group.examples.push(name.to_string());
        }
    }

    pub(crate) fn told(self) -> Vec<LeftOut> {
        self.groups
    }
}
