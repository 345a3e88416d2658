use super::Faults;
use crate::{
    Error, Installed, IpsecEvents, IpsecRefusal, IpsecThing, Result,
    xfrm::{
        AssociationEvent, Defaults, Filter, Policy, PolicyCounts, PolicyId, State, StateCounts,
        StateId,
    },
};

/// IPsec whose calls fail on demand, by the names of the trait's methods; `add_state` also as `add_state-offload`, for states
/// that are to be on a card. A call that fails does nothing.
pub struct Ipsec<I> {
    inner: I,
    faults: Faults,
}

impl<I: crate::Ipsec> Ipsec<I> {
    /// Wraps another.
    pub fn new(inner: I, faults: Faults) -> Self {
        Self { inner, faults }
    }

    /// The wrapped one.
    pub fn into_inner(self) -> I {
        self.inner
    }

    fn check(&self, operation: &'static str, thing: IpsecThing) -> Result<()> {
        self.faults.check(operation).map_err(|errno| {
            let words = Some("made to fail".to_owned());
            Error::Ipsec(Box::new(IpsecRefusal { thing, operation, errno, words }))
        })
    }
}

impl<I: crate::Ipsec> crate::Ipsec for Ipsec<I> {
    fn add_state(&mut self, state: &State) -> Result<Installed<State>> {
        let thing = IpsecThing::State(state.id());
        self.check("add_state", thing)?;
        if state.offload.is_some() {
            self.check("add_state-offload", thing)?;
        }
        self.inner.add_state(state)
    }

    fn delete_state(&mut self, id: &StateId) -> Result<bool> {
        self.check("delete_state", IpsecThing::State(*id))?;
        self.inner.delete_state(id)
    }

    fn state(&self, id: &StateId) -> Result<Option<State>> {
        self.check("state", IpsecThing::State(*id))?;
        self.inner.state(id)
    }

    fn states(&self, filter: &Filter) -> Result<Vec<State>> {
        self.check("states", IpsecThing::States)?;
        self.inner.states(filter)
    }

    fn progress(&self, state: &State) -> Result<Option<AssociationEvent>> {
        self.check("progress", IpsecThing::State(state.id()))?;
        self.inner.progress(state)
    }

    fn set_policy(&mut self, policy: &Policy) -> Result<Installed<Policy>> {
        self.check("set_policy", IpsecThing::Policy(policy.id()))?;
        self.inner.set_policy(policy)
    }

    fn delete_policy(&mut self, id: &PolicyId) -> Result<bool> {
        self.check("delete_policy", IpsecThing::Policy(*id))?;
        self.inner.delete_policy(id)
    }

    fn policies(&self) -> Result<Vec<Policy>> {
        self.check("policies", IpsecThing::Policies)?;
        self.inner.policies()
    }

    fn defaults(&self) -> Result<Defaults> {
        self.check("defaults", IpsecThing::Defaults)?;
        self.inner.defaults()
    }

    fn set_defaults(&mut self, defaults: Defaults) -> Result<Defaults> {
        self.check("set_defaults", IpsecThing::Defaults)?;
        self.inner.set_defaults(defaults)
    }

    fn counts(&self) -> Result<(StateCounts, PolicyCounts)> {
        self.check("counts", IpsecThing::States)?;
        self.inner.counts()
    }

    fn watch(&self) -> Result<IpsecEvents> {
        self.check("watch", IpsecThing::Events)?;
        self.inner.watch()
    }
}
