use super::CardNo;
use crate::{
    Errno, Error, Installed, IpsecEvent, IpsecEvents, IpsecRefusal, IpsecThing, Result, kept_wrong,
    xfrm::{
        Addresses, AssociationEvent, DefaultAction, Defaults, Expired, Filter, Message, Offload,
        OffloadKind, Policy, PolicyCounts, PolicyDirection, PolicyId, State, StateCounts, StateId,
    },
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::mpsc::UnboundedSender;
use tokio_stream::wrappers::UnboundedReceiverStream;

/// What a card does with states that it is to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taking {
    /// It takes as many as it has room for.
    Takes {
        /// How many.
        room: usize,
    },
    /// It refuses.
    Refuses(CardNo),
    /// The kernel says "done" and does the work itself, as for a link whose driver knows nothing of it.
    Silent,
}

/// How a link's card takes IPsec. The default is silent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpsecCard {
    /// The name of the driver.
    pub driver: String,
    /// States of which it encrypts.
    pub crypto: Taking,
    /// States of which it does everything.
    pub packet: Taking,
}

impl Default for IpsecCard {
    fn default() -> Self {
        Self { driver: "veth".into(), crypto: Taking::Silent, packet: Taking::Silent }
    }
}

impl IpsecCard {
    /// As netdevsim: 33 states for encryption, nothing else.
    pub fn netdevsim() -> Self {
        let refusal = CardNo::new(Errno::EINVAL, "Unsupported ipsec offload type");
        Self {
            driver: "netdevsim".into(),
            crypto: Taking::Takes { room: 33 },
            packet: Taking::Refuses(refusal),
        }
    }
}

struct Inside {
    states: BTreeMap<StateId, State>,
    policies: BTreeMap<PolicyId, Policy>,
    defaults: Defaults,
    cards: BTreeMap<u32, IpsecCard>,
    watchers: Vec<UnboundedSender<IpsecEvent>>,
}

/// IPsec in memory. Clones are the same, and keep what is in it as a kernel does.
#[derive(Clone)]
pub struct Ipsec(Arc<Mutex<Inside>>);

impl Default for Ipsec {
    fn default() -> Self {
        Self::new()
    }
}

impl Ipsec {
    /// Nothing is encrypted, and everything passes.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Inside {
            states: BTreeMap::new(),
            policies: BTreeMap::new(),
            defaults: Defaults::ACCEPT,
            cards: BTreeMap::new(),
            watchers: Vec::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the card of a link takes IPsec.
    pub fn set_card(&self, ifindex: u32, card: IpsecCard) {
        self.lock().cards.insert(ifindex, card);
    }

    /// Lets a state come to a limit; a hard one ends it.
    pub fn expire(&self, id: &StateId, hard: bool) {
        let mut inside = self.lock();
        let state = if hard { inside.states.remove(id) } else { inside.states.get(id).cloned() };
        if let Some(state) = state {
            inside.tell(Message::Expired(Expired { state, hard }));
        }
    }

    /// Lets the kernel tell something.
    pub fn tell(&self, message: Message) {
        self.lock().tell(message);
    }

    /// Changes a state behind our back: counts its packets, or tampers with it.
    pub fn change(&self, id: &StateId, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.lock().states.get_mut(id) {
            change(state);
        }
    }
}

impl Inside {
    fn tell(&mut self, message: Message) {
        let event = IpsecEvent::Told(Box::new(message));
        self.watchers.retain(|watcher| watcher.send(event.clone()).is_ok());
    }

    /// What becomes of an offload that is asked for.
    fn offload(&self, wanted: Offload, state: &State) -> Result<Option<Offload>, CardNo> {
        let Some(card) = self.cards.get(&wanted.ifindex) else {
            return Err(CardNo { errno: Errno::ENODEV, words: None });
        };
        if let Some(words) = kept_wrong(&card.driver, &state.algorithms) {
            return Err(CardNo::new(Errno::EOPNOTSUPP, words));
        }
        let taking = match wanted.kind {
            OffloadKind::Crypto => &card.crypto,
            OffloadKind::Packet => &card.packet,
        };
        let held = self.states.values().filter_map(|state| state.offload);
        let held = held.filter(|offload| offload.ifindex == wanted.ifindex).count();
        match taking {
            Taking::Refuses(no) => Err(no.clone()),
            Taking::Silent => Ok(None),
            Taking::Takes { room } if held < *room => Ok(Some(wanted)),
            Taking::Takes { .. } => Err(CardNo::new(Errno::ENOSPC, "No space for SA in Rx table!")),
        }
    }
}

fn refused(thing: IpsecThing, operation: &'static str, no: CardNo) -> Error {
    let CardNo { errno, words } = no;
    Error::Ipsec(Box::new(IpsecRefusal { thing, operation, errno, words }))
}

/// Whether the addresses of a state are in those that are asked for.
fn matches(wanted: Addresses, state: &State) -> bool {
    use std::net::IpAddr;
    let within = |address: u128, network: u128, bits: u8, width: u32| {
        let shift = width.saturating_sub(u32::from(bits));
        address.checked_shr(shift).unwrap_or(0) == network.checked_shr(shift).unwrap_or(0)
    };
    let (from, to) = (state.ends.source(), state.ends.destination());
    match (wanted, from, to) {
        (Addresses::Unspecified, ..) => true,
        (Addresses::V4 { source, destination }, IpAddr::V4(from), IpAddr::V4(to)) => {
            let word = |address: std::net::Ipv4Addr| u128::from(address.to_bits());
            within(word(from), word(source.0), source.1, 32)
                && within(word(to), word(destination.0), destination.1, 32)
        }
        (Addresses::V6 { source, destination }, IpAddr::V6(from), IpAddr::V6(to)) => {
            within(from.to_bits(), source.0.to_bits(), source.1, 128)
                && within(to.to_bits(), destination.0.to_bits(), destination.1, 128)
        }
        _ => false,
    }
}

impl crate::Ipsec for Ipsec {
    fn add_state(&mut self, state: &State) -> Result<Installed<State>> {
        const OPERATION: &str = "add it";
        let (mut inside, thing) = (self.lock(), IpsecThing::State(state.id()));
        if inside.states.contains_key(&state.id()) {
            return Err(refused(thing, OPERATION, CardNo { errno: Errno::EEXIST, words: None }));
        }
        let actual = match state.offload {
            Some(wanted) => {
                inside.offload(wanted, state).map_err(|no| refused(thing, OPERATION, no))?
            }
            None => None,
        };
        let shown = State { offload: actual, ..state.clone() };
        inside.states.insert(state.id(), shown.clone());
        inside.tell(Message::NewState(shown.clone()));
        Ok(Installed { shown, requested: state.offload, actual })
    }

    fn delete_state(&mut self, id: &StateId) -> Result<bool> {
        let mut inside = self.lock();
        let was_there = inside.states.remove(id).is_some();
        if was_there {
            inside.tell(Message::DeleteState(*id));
        }
        Ok(was_there)
    }

    fn state(&self, id: &StateId) -> Result<Option<State>> {
        Ok(self.lock().states.get(id).cloned())
    }

    fn states(&self, filter: &Filter) -> Result<Vec<State>> {
        let inside = self.lock();
        let wanted = |state: &&State| {
            filter.protocol.is_none_or(|protocol| protocol == state.protocol)
                && matches(filter.addresses, state)
        };
        Ok(inside.states.values().filter(wanted).cloned().collect())
    }

    fn progress(&self, state: &State) -> Result<Option<AssociationEvent>> {
        let inside = self.lock();
        Ok(inside.states.get(&state.id()).map(|state| AssociationEvent {
            request_id: state.request_id,
            replay: state.replay.clone(),
            usage: Some(state.usage),
            if_id: state.if_id,
            ..AssociationEvent::question(state.id(), state.ends.source())
        }))
    }

    fn set_policy(&mut self, policy: &Policy) -> Result<Installed<Policy>> {
        let mut inside = self.lock();
        let thing = IpsecThing::Policy(policy.id());
        if let Some(wanted) = policy.offload {
            let packet = inside.cards.get(&wanted.ifindex).map(|card| card.packet.clone());
            if !matches!(packet, Some(Taking::Takes { .. })) {
                let no = CardNo { errno: Errno::EINVAL, words: None };
                return Err(refused(thing, "set it", no));
            }
        }
        inside.policies.insert(policy.id(), policy.clone());
        inside.tell(Message::NewPolicy(policy.clone()));
        let (requested, actual) = (policy.offload, policy.offload);
        Ok(Installed { shown: policy.clone(), requested, actual })
    }

    fn delete_policy(&mut self, id: &PolicyId) -> Result<bool> {
        let mut inside = self.lock();
        let was_there = inside.policies.remove(id).is_some();
        if was_there {
            inside.tell(Message::DeletePolicy(*id));
        }
        Ok(was_there)
    }

    fn policies(&self) -> Result<Vec<Policy>> {
        Ok(self.lock().policies.values().cloned().collect())
    }

    fn defaults(&self) -> Result<Defaults> {
        Ok(self.lock().defaults)
    }

    fn set_defaults(&mut self, defaults: Defaults) -> Result<Defaults> {
        let mut inside = self.lock();
        let now = inside.defaults;
        let one = |wanted: DefaultAction, now: DefaultAction| match wanted {
            DefaultAction::Unchanged => now,
            changed => changed,
        };
        inside.defaults = Defaults {
            inbound: one(defaults.inbound, now.inbound),
            forward: one(defaults.forward, now.forward),
            outbound: one(defaults.outbound, now.outbound),
        };
        Ok(inside.defaults)
    }

    fn counts(&self) -> Result<(StateCounts, PolicyCounts)> {
        let inside = self.lock();
        let of = |direction: PolicyDirection| {
            inside.policies.keys().filter(|id| id.direction == direction).count() as u32
        };
        let states = StateCounts { states: inside.states.len() as u32, ..StateCounts::default() };
        let policies = PolicyCounts {
            inbound: of(PolicyDirection::In),
            outbound: of(PolicyDirection::Out),
            forward: of(PolicyDirection::Forward),
            of_sockets: [0; 3],
        };
        Ok((states, policies))
    }

    fn watch(&self) -> Result<IpsecEvents> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        self.lock().watchers.push(sender);
        Ok(Box::pin(UnboundedReceiverStream::new(receiver)))
    }
}
