use super::{
    Cards, Datapath, Network,
    card::{CardBehaviour, FakeCard, FakePlaced},
    tables::Tables,
};
use crate::{
    Attachment, CardForeign, CardTableOf, ForeignProgram, InterfaceAddress, Link, LinkName,
    Neighbour, NetworkEvent, Opened, Result, Routing, Sizes, Takeover,
    card::{bytes_of, value_from},
};
use sluice_datapath::abi::{
    BackendCount, Count, Event, Plain, PrefilterHit, Reason, ServiceCounter, ServiceCounts,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc::UnboundedSender;

/// A machine in memory. Clones are the same machine.
#[derive(Clone, Default)]
pub struct World(Arc<Mutex<State>>);

#[derive(Default)]
pub(super) struct State {
    pub(super) links: BTreeMap<u32, FakeLink>,
    pub(super) addresses: Vec<InterfaceAddress>,
    pub(super) routes: BTreeMap<IpAddr, Routing>,
    pub(super) neighbours: BTreeMap<(IpAddr, u32), Neighbour>,
    pub(super) probes: Vec<(IpAddr, u32)>,
    pub(super) watchers: Vec<UnboundedSender<NetworkEvent>>,
    pub(super) events: Vec<UnboundedSender<Event>>,
    pub(super) pinned: Option<Arc<Tables>>,
    pub(super) tick: u32,
    pub(super) counts: HashMap<Reason, Count>,
    pub(super) backend_counts: HashMap<u32, BackendCount>,
    pub(super) service_counts: HashMap<u32, ServiceCounts>,
    pub(super) prefilter_hits: Vec<PrefilterHit>,
    /// By link.
    pub(super) cards: BTreeMap<u32, FakeCard>,
    /// Programs of ours on cards, by link.
    pub(super) placed: BTreeMap<u32, FakePlaced>,
    next_id: u32,
}

pub(super) struct FakeLink {
    pub(super) link: Link,
    /// Why the driver takes no program, if it takes none.
    pub(super) native_refusal: Option<String>,
    pub(super) foreign: Option<ForeignProgram>,
    pub(super) attachment: Option<Attachment>,
    /// The tables that the link's program uses.
    pub(super) tables: Option<Arc<Tables>>,
}

impl State {
    pub(super) fn tell(&mut self, event: &NetworkEvent) {
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }

    pub(super) fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn name(&self, ifindex: u32) -> LinkName {
        let name = match self.links.get(&ifindex) {
            Some(found) => found.link.name.clone(),
            None => format!("#{ifindex}"),
        };
        LinkName { name, ifindex }
    }
}

impl World {
    /// A machine without links.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the datapath, taking over what an earlier one left.
    ///
    /// # Errors
    /// [`crate::Error::Size`].
    pub fn open(&self, sizes: &Sizes) -> Result<(Datapath, Opened)> {
        sizes.check()?;
        let (takeover, tables) = match self.lock().pinned.clone() {
            Some(tables) => (Takeover::TakenOver, tables),
            None => (Takeover::Created, Arc::new(Tables::new(*sizes))),
        };
        self.lock().pinned = Some(tables.clone());
        let datapath = Datapath::new(self.clone(), tables);
        let attached = crate::Datapath::attached(&datapath)?;
        Ok((datapath, Opened { takeover, notes: Vec::new(), attached }))
    }

    /// Removes programs and tables, as `detach_all` of the real kernel does.
    pub fn detach_all(&self) {
        let mut state = self.lock();
        state.pinned = None;
        state.placed.clear();
        for link in state.links.values_mut() {
            (link.attachment, link.tables) = (None, None);
        }
    }

    /// The cards of this machine.
    pub fn cards(&self) -> Cards {
        Cards::new(self.clone())
    }

    /// The network side of this machine.
    pub fn network(&self) -> Network {
        Network::new(self.clone())
    }

    /// Adds or changes a link.
    pub fn set_link(&self, link: Link) {
        let mut state = self.lock();
        let event = NetworkEvent::Link(link.clone());
        match state.links.get_mut(&link.ifindex) {
            Some(known) => known.link = link,
            None => {
                let new = FakeLink {
                    link: link.clone(),
                    native_refusal: None,
                    foreign: None,
                    attachment: None,
                    tables: None,
                };
                state.links.insert(link.ifindex, new);
            }
        }
        state.tell(&event);
    }

    /// Deletes a link with its program, addresses and neighbours.
    pub fn remove_link(&self, ifindex: u32) {
        let mut state = self.lock();
        state.addresses.retain(|address| address.ifindex != ifindex);
        state.neighbours.retain(|&(_, on), _| on != ifindex);
        state.cards.remove(&ifindex);
        if let Some(placed) = state.placed.get_mut(&ifindex) {
            placed.device_gone = true;
        }
        if let Some(FakeLink { link, .. }) = state.links.remove(&ifindex) {
            state.tell(&NetworkEvent::LinkGone { name: link.name, ifindex });
        }
    }

    /// Lets the driver of a link refuse native programs with these words, or take them.
    pub fn refuse_native(&self, ifindex: u32, why: Option<&str>) {
        if let Some(link) = self.lock().links.get_mut(&ifindex) {
            link.native_refusal = why.map(str::to_owned);
        }
    }

    /// Puts somebody else's program on a link.
    pub fn set_foreign(&self, ifindex: u32, program: Option<ForeignProgram>) {
        if let Some(link) = self.lock().links.get_mut(&ifindex) {
            link.foreign = program;
        }
    }

    /// Takes our program off a link behind our back.
    pub fn tear_off(&self, ifindex: u32) {
        if let Some(link) = self.lock().links.get_mut(&ifindex) {
            (link.attachment, link.tables) = (None, None);
        }
    }

    /// Gives a link a card that behaves like this, changes how it behaves, or takes it away.
    pub fn set_card(&self, ifindex: u32, behaviour: Option<CardBehaviour>) {
        let mut state = self.lock();
        match behaviour {
            Some(behaviour) => state.cards.entry(ifindex).or_default().behaviour = behaviour,
            None => drop(state.cards.remove(&ifindex)),
        }
    }

    /// Changes how a card behaves.
    pub fn change_card(&self, ifindex: u32, change: impl FnOnce(&mut CardBehaviour)) {
        if let Some(card) = self.lock().cards.get_mut(&ifindex) {
            change(&mut card.behaviour);
        }
    }

    /// Puts programs and filters of somebody else on a card.
    pub fn set_card_foreign(&self, ifindex: u32, foreign: Vec<CardForeign>) {
        if let Some(card) = self.lock().cards.get_mut(&ifindex) {
            card.foreign = foreign;
        }
    }

    /// Takes our program off a card behind our back.
    pub fn tear_off_card(&self, ifindex: u32) {
        if let Some(placed) = self.lock().placed.get_mut(&ifindex) {
            placed.hooked = false;
        }
    }

    /// Lets the program on a card change an entry, as it does when it counts; whether the entry is there.
    pub fn on_card<K: Plain, V: Plain>(
        &self,
        ifindex: u32,
        table: CardTableOf<K, V>,
        key: &K,
        change: impl FnOnce(&mut V),
    ) -> bool {
        let mut state = self.lock();
        let tables = state.placed.get_mut(&ifindex).map(|placed| &mut placed.tables);
        let entries = tables.and_then(|tables| tables.get_mut(&table.table()));
        let bytes = entries.and_then(|entries| entries.get_mut(&bytes_of(key)));
        let Some(bytes) = bytes else { return false };
        let Some(mut value) = value_from(bytes) else { return false };
        change(&mut value);
        *bytes = bytes_of(&value);
        true
    }

    /// Adds an address.
    pub fn add_address(&self, address: InterfaceAddress) {
        let mut state = self.lock();
        state.addresses.push(address);
        state.tell(&NetworkEvent::Address(address));
    }

    /// Removes an address.
    pub fn remove_address(&self, address: InterfaceAddress) {
        let mut state = self.lock();
        state.addresses.retain(|known| *known != address);
        state.tell(&NetworkEvent::AddressGone(address));
    }

    /// Sets the way to one destination; destinations without one have no route.
    pub fn set_route(&self, destination: IpAddr, routing: Routing) {
        let mut state = self.lock();
        state.routes.insert(destination, routing);
        state.tell(&NetworkEvent::Route);
    }

    /// Adds or changes a neighbour.
    pub fn set_neighbour(&self, neighbour: Neighbour) {
        let mut state = self.lock();
        state.neighbours.insert((neighbour.address, neighbour.ifindex), neighbour);
        state.tell(&NetworkEvent::Neighbour(neighbour));
    }

    /// Removes a neighbour.
    pub fn remove_neighbour(&self, address: IpAddr, ifindex: u32) {
        let mut state = self.lock();
        state.neighbours.remove(&(address, ifindex));
        state.tell(&NetworkEvent::NeighbourGone { address, ifindex });
    }

    /// Lets the watchers believe that they lost changes.
    pub fn overrun(&self) {
        self.lock().tell(&NetworkEvent::Overrun);
    }

    /// The neighbours that were probed so far.
    pub fn probes(&self) -> Vec<(IpAddr, u32)> {
        self.lock().probes.clone()
    }

    /// Lets time pass.
    pub fn advance(&self, ticks: u32) {
        let mut state = self.lock();
        state.tick = state.tick.wrapping_add(ticks);
    }

    /// Counts packets.
    pub fn count(&self, reason: Reason, packets: u64, bytes: u64) {
        let mut state = self.lock();
        add(state.counts.entry(reason).or_default(), Count { packets, bytes });
    }

    /// Counts packets of a backend.
    pub fn count_backend(&self, id: u32, count: BackendCount) {
        let mut state = self.lock();
        let known = state.backend_counts.entry(id).or_default();
        add(&mut known.forward, count.forward);
        add(&mut known.reply, count.reply);
    }

    /// Counts packets of a service.
    pub fn count_service(&self, service: u32, counter: ServiceCounter, packets: u64) {
        self.lock().service_counts.entry(service).or_default()[counter as usize] += packets;
    }

    /// Adds a used slot of the prefilter's hits.
    pub fn add_prefilter_hit(&self, hit: PrefilterHit) {
        self.lock().prefilter_hits.push(hit);
    }

    /// Lets the datapath say something.
    pub fn emit(&self, event: Event) {
        self.lock().events.retain(|reader| reader.send(event).is_ok());
    }
}

fn add(to: &mut Count, more: Count) {
    to.packets += more.packets;
    to.bytes += more.bytes;
}
