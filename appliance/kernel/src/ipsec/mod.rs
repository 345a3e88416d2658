//! IPsec of the kernel: states, policies, what applies without a policy, and where the work is done.
//!
//! The kernel answers "done" to many things that it did not do: it takes offload for a link whose driver has none, and does the
//! work itself. So nothing is believed that was not read back, and what was asked for and what is there are two things.

mod known;
mod place;
mod refusal;
#[cfg(test)]
mod tests;

pub use known::kept_wrong;
pub use place::{Fallback, PlacedState, place_state};
pub use refusal::{IpsecRefusal, IpsecThing};

use crate::{
    Result,
    xfrm::{
        AssociationEvent, Defaults, Filter, Mark, Message, Offload, Policy, PolicyCounts, PolicyId,
        State, StateCounts, StateId,
    },
};
use futures_util::stream::BoxStream;

/// IPsec in the network namespace in which it was opened. Calls take microseconds; those with offload wait for the card.
///
/// # Errors
/// [`crate::Error::Ipsec`] says what was refused, with the kernel's number and words.
pub trait Ipsec: Send {
    /// Adds a state and reads it back. A state with the same id is an error (`EEXIST`): a rekeyed state has another SPI.
    ///
    /// # Errors
    /// [`crate::Error::IpsecReadBack`] if the kernel shows another state than the one that was asked for; it is removed then.
    fn add_state(&mut self, state: &State) -> Result<Installed<State>>;

    /// Removes a state; whether it was there.
    fn delete_state(&mut self, id: &StateId) -> Result<bool>;

    /// A state; none if it is not there.
    fn state(&self, id: &StateId) -> Result<Option<State>>;

    /// All states that the filter lets through.
    fn states(&self, filter: &Filter) -> Result<Vec<State>>;

    /// The sequence numbers and counters of a state; none if it is not there.
    fn progress(&self, state: &State) -> Result<Option<AssociationEvent>>;

    /// Adds a policy, or puts it in the place of the one with its id, and reads it back.
    ///
    /// # Errors
    /// [`crate::Error::IpsecReadBack`] if the kernel shows another policy. It stays: what is there instead may be what blocks.
    fn set_policy(&mut self, policy: &Policy) -> Result<Installed<Policy>>;

    /// Removes a policy; whether it was there.
    fn delete_policy(&mut self, id: &PolicyId) -> Result<bool>;

    /// All policies, those of sockets apart.
    fn policies(&self) -> Result<Vec<Policy>>;

    /// What happens to packets that no policy matches.
    fn defaults(&self) -> Result<Defaults>;

    /// Changes that, and reads it back.
    fn set_defaults(&mut self, defaults: Defaults) -> Result<Defaults>;

    /// How many states and policies there are.
    fn counts(&self) -> Result<(StateCounts, PolicyCounts)>;

    /// What the kernel tells from now on. Must be called in a Tokio runtime.
    fn watch(&self) -> Result<IpsecEvents>;
}

/// What the kernel tells, as it comes.
pub type IpsecEvents = BoxStream<'static, IpsecEvent>;

/// Something changed or is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpsecEvent {
    /// As the kernel tells it: states and policies that are new or gone, limits, acquires, progress.
    Told(Box<Message>),
    /// Something was lost, because it came faster than it was read: read everything again.
    Overrun,
}

/// What was read back after it had been asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed<T> {
    /// As the kernel shows it.
    pub shown: T,
    /// The offload that was asked for.
    pub requested: Option<Offload>,
    /// The offload that the kernel shows.
    pub actual: Option<Offload>,
}

impl<T> Installed<T> {
    /// Whether it is where it was asked to be.
    pub fn is_as_requested(&self) -> bool {
        self.requested == self.actual
    }
}

/// Whose states and policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Those of an xfrm interface.
    Interface(u32),
    /// Those with a mark.
    Mark(Mark),
}

impl Owner {
    fn owns(self, if_id: Option<u32>, mark: Option<Mark>) -> bool {
        match self {
            Self::Interface(wanted) => if_id == Some(wanted),
            Self::Mark(wanted) => mark == Some(wanted),
        }
    }
}

/// How many states and policies were removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// States.
    pub states: usize,
    /// Policies.
    pub policies: usize,
}

impl dyn Ipsec + '_ {
    /// Removes all states and then all policies of an owner, and nothing of anybody else: while a state goes, the policy still
    /// says that its packets must not leave without.
    ///
    /// # Errors
    /// The first refusal; what was removed before it stays removed.
    pub fn flush(&mut self, owner: Owner) -> Result<Flushed> {
        let mut flushed = Flushed::default();
        for state in self.states(&Filter::default())? {
            if owner.owns(state.if_id, state.mark) && self.delete_state(&state.id())? {
                flushed.states += 1;
            }
        }
        for policy in self.policies()? {
            if owner.owns(policy.if_id, policy.mark) && self.delete_policy(&policy.id())? {
                flushed.policies += 1;
            }
        }
        Ok(flushed)
    }
}

/// In what a state that was read back differs from the one that was asked for; none if it is the same in all that matters to a
/// packet. A kernel in lockdown shows keys as zeros: those are not compared.
pub(crate) fn difference(asked: &State, shown: &State) -> Option<&'static str> {
    use crate::xfrm::{Addresses, Algorithms};
    let same_algorithms = match (&asked.algorithms, &shown.algorithms) {
        (Algorithms::Aead(asked), Algorithms::Aead(shown)) => {
            let is_hidden = shown.key().expose().iter().all(|byte| *byte == 0);
            let same = asked.name() == shown.name() && asked.tag_bits() == shown.tag_bits();
            same && (asked.key() == shown.key()
                || is_hidden && asked.key().bits() == shown.key().bits())
        }
        // What authenticates is shown with the length of its tag, asked for or not.
        (Algorithms::Apart { .. }, Algorithms::Apart { .. }) => true,
        _ => false,
    };
    let any_family = asked.selector.addresses == Addresses::Unspecified;
    let checks = [
        ("other addresses", asked.ends == shown.ends),
        ("another algorithm or key", same_algorithms),
        ("another mode", asked.mode == shown.mode),
        ("another interface id", asked.if_id.filter(|id| *id != 0) == shown.if_id),
        ("another request id", asked.request_id == shown.request_id),
        ("another selector", any_family || asked.selector == shown.selector),
        ("another encapsulation", asked.encapsulation == shown.encapsulation),
        ("other limits", asked.limits == shown.limits),
        ("other flags", asked.flags == shown.flags),
    ];
    checks.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
}
