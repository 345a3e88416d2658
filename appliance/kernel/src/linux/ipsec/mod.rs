//! IPsec over netlink, of the network namespace of the thread that opened it.

mod driver;
mod switch;
mod tell;

use super::netlink::{HEADER_BYTES, Netlink, Refusal};
use crate::{
    Errno, Error, Installed, IpsecEvents, IpsecRefusal, IpsecThing, Result,
    ipsec::difference,
    kept_wrong,
    xfrm::{
        AssociationEvent, Defaults, Filter, Message, Policy, PolicyCounts, PolicyId, State,
        StateCounts, StateId,
    },
};
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL};
use std::sync::{Mutex, PoisonError};

/// States and policies of the kernel.
pub struct Ipsec(Mutex<Netlink>);

type Asked<T> = Result<T, Refusal>;

impl Ipsec {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Ipsec`] if the kernel has no IPsec.
    pub fn open() -> Result<Self> {
        let netlink = Netlink::open_xfrm();
        let netlink =
            netlink.map_err(|refusal| refused(IpsecThing::States, "ask for them", refusal))?;
        Ok(Self(Mutex::new(netlink)))
    }

    fn with<T>(&self, ask: impl FnOnce(&mut Netlink) -> Asked<T>) -> Asked<T> {
        ask(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A request; its answers, as far as they are of types that are known here.
    fn ask(&self, message: &Message, flags: u16) -> Asked<Vec<Message>> {
        let bytes = message.to_bytes();
        let answers =
            self.with(|netlink| netlink.bytes(message.kind(), NLM_F_ACK | flags, &bytes))?;
        Ok(answers.iter().filter_map(|answer| read(answer)).collect())
    }

    fn list(&self, message: &Message) -> Asked<Vec<Message>> {
        let bytes = message.to_bytes();
        let answers = self.with(|netlink| netlink.list_bytes(message.kind(), &bytes))?;
        Ok(answers.iter().filter_map(|answer| read(answer)).collect())
    }

    /// A question for one thing; none if it is not there.
    fn find(&self, message: &Message) -> Asked<Option<Message>> {
        match self.ask(message, 0) {
            Ok(answers) => Ok(answers.into_iter().next()),
            Err(refusal) if is_absence(refusal.errno) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// A removal; whether there was something.
    fn remove(&self, message: &Message) -> Asked<bool> {
        match self.ask(message, 0) {
            Ok(_) => Ok(true),
            Err(refusal) if is_absence(refusal.errno) => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }
}

/// Why a card must not get a state, whatever the kernel would say.
fn forbidden(ifindex: u32, state: &State) -> Asked<Option<&'static str>> {
    // Links in software have the switch too, and nothing behind it.
    let Some(driver) = driver::of(ifindex)? else { return Ok(None) };
    // A kernel without the family has no such switch.
    if switch::is_off(ifindex).unwrap_or(false) {
        const OFF: &str =
            "esp-hw-offload of the link is switched off (`ethtool -K LINK esp-hw-offload on`)";
        return Ok(Some(OFF));
    }
    Ok(kept_wrong(&driver, &state.algorithms))
}

/// A state that is not there is `ESRCH`, a policy `ENOENT`.
fn is_absence(errno: Errno) -> bool {
    matches!(errno, Errno::ESRCH | Errno::ENOENT)
}

/// A message with its header; none if it is of a type that is not known here, such as a policy of a socket.
fn read(message: &[u8]) -> Option<Message> {
    let number = |at: usize| {
        let bytes = message.get(at..at + 2)?.try_into().ok()?;
        Some(u16::from_ne_bytes(bytes))
    };
    Message::from_bytes(number(4)?, number(6)?, message.get(HEADER_BYTES..)?).ok()
}

fn refused(thing: IpsecThing, operation: &'static str, refusal: Refusal) -> Error {
    let Refusal { errno, text: words } = refusal;
    Error::Ipsec(Box::new(IpsecRefusal { thing, operation, errno, words }))
}

impl crate::Ipsec for Ipsec {
    fn add_state(&mut self, state: &State) -> Result<Installed<State>> {
        let thing = IpsecThing::State(state.id());
        let failed = |refusal| refused(thing, "add it", refusal);
        if let Some(offload) = state.offload
            && let Some(words) = forbidden(offload.ifindex, state).map_err(failed)?
        {
            let text = Some(words.to_owned());
            return Err(failed(Refusal { errno: Errno::EOPNOTSUPP, text }));
        }
        self.ask(&Message::NewState(state.clone()), NLM_F_CREATE | NLM_F_EXCL).map_err(failed)?;
        let shown = self.state(&state.id())?;
        let found = match &shown {
            None => Some("none"),
            Some(shown) => difference(state, shown),
        };
        match (shown, found) {
            (Some(shown), None) => {
                let actual = shown.offload;
                Ok(Installed { shown, requested: state.offload, actual })
            }
            (_, found) => {
                self.delete_state(&state.id())?;
                let found = found.unwrap_or("none");
                Err(Error::IpsecReadBack { thing: Box::new(thing), found, fate: "removed" })
            }
        }
    }

    fn delete_state(&mut self, id: &StateId) -> Result<bool> {
        self.remove(&Message::DeleteState(*id))
            .map_err(|refusal| refused(IpsecThing::State(*id), "delete it", refusal))
    }

    fn state(&self, id: &StateId) -> Result<Option<State>> {
        let found = self
            .find(&Message::GetState(*id))
            .map_err(|refusal| refused(IpsecThing::State(*id), "read it", refusal))?;
        Ok(found.and_then(|message| match message {
            Message::NewState(state) => Some(state),
            _ => None,
        }))
    }

    fn states(&self, filter: &Filter) -> Result<Vec<State>> {
        let listed = self
            .list(&Message::DumpStates(*filter))
            .map_err(|refusal| refused(IpsecThing::States, "list them", refusal))?;
        let states = listed.into_iter().filter_map(|message| match message {
            Message::NewState(state) => Some(state),
            _ => None,
        });
        Ok(states.collect())
    }

    fn progress(&self, state: &State) -> Result<Option<AssociationEvent>> {
        let question = AssociationEvent::question(state.id(), state.ends.source());
        let found = self.find(&Message::GetAssociation(question)).map_err(|refusal| {
            refused(IpsecThing::State(state.id()), "ask how far it is", refusal)
        })?;
        Ok(found.and_then(|message| match message {
            Message::Association(event) => Some(event),
            _ => None,
        }))
    }

    fn set_policy(&mut self, policy: &Policy) -> Result<Installed<Policy>> {
        let thing = IpsecThing::Policy(policy.id());
        let failed = |refusal| refused(thing, "set it", refusal);
        self.ask(&Message::UpdatePolicy(policy.clone()), 0).map_err(failed)?;
        let found = self.find(&Message::GetPolicy(policy.id())).map_err(failed)?;
        let shown = match found {
            Some(Message::NewPolicy(shown)) => shown,
            _ => {
                let (found, fate) = ("none", "not set");
                return Err(Error::IpsecReadBack { thing: Box::new(thing), found, fate });
            }
        };
        let same = shown.action == policy.action
            && shown.templates == policy.templates
            && shown.priority == policy.priority
            && shown.id() == policy.id();
        if !same {
            let (found, fate) = ("another policy", "left");
            return Err(Error::IpsecReadBack { thing: Box::new(thing), found, fate });
        }
        let actual = shown.offload;
        Ok(Installed { shown, requested: policy.offload, actual })
    }

    fn delete_policy(&mut self, id: &PolicyId) -> Result<bool> {
        self.remove(&Message::DeletePolicy(*id))
            .map_err(|refusal| refused(IpsecThing::Policy(*id), "delete it", refusal))
    }

    fn policies(&self) -> Result<Vec<Policy>> {
        let listed = self
            .list(&Message::DumpPolicies)
            .map_err(|refusal| refused(IpsecThing::Policies, "list them", refusal))?;
        let policies = listed.into_iter().filter_map(|message| match message {
            Message::NewPolicy(policy) => Some(policy),
            _ => None,
        });
        Ok(policies.collect())
    }

    fn defaults(&self) -> Result<Defaults> {
        let failed = |refusal| refused(IpsecThing::Defaults, "read them", refusal);
        match self.ask(&Message::GetDefaults, 0).map_err(failed)?.first() {
            Some(Message::SetDefaults(defaults)) => Ok(*defaults),
            _ => Err(failed(Errno::EBADMSG.into())),
        }
    }

    fn set_defaults(&mut self, defaults: Defaults) -> Result<Defaults> {
        self.ask(&Message::SetDefaults(defaults), 0)
            .map_err(|refusal| refused(IpsecThing::Defaults, "change them", refusal))?;
        self.defaults()
    }

    fn counts(&self) -> Result<(StateCounts, PolicyCounts)> {
        let failed = |thing| move |refusal| refused(thing, "count them", refusal);
        let states = self.ask(&Message::GetStateCounts, 0).map_err(failed(IpsecThing::States))?;
        let policies =
            self.ask(&Message::GetPolicyCounts, 0).map_err(failed(IpsecThing::Policies))?;
        match (states.first(), policies.first()) {
            (Some(Message::StateCounts(states)), Some(Message::PolicyCounts(policies))) => {
                Ok((*states, *policies))
            }
            _ => Err(failed(IpsecThing::States)(Errno::EBADMSG.into())),
        }
    }

    fn watch(&self) -> Result<IpsecEvents> {
        tell::watch().map_err(|refusal| refused(IpsecThing::Events, "listen to them", refusal))
    }
}
