use nix::errno::Errno;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Which calls are to fail. Clones are the same plan, so that a test keeps a handle on it.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: Vec<&'static str>,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    /// Any call if none.
    call: Option<String>,
    /// How many such calls still succeed.
    remaining: usize,
    errno: Errno,
}

impl Faults {
    /// Nothing fails.
    pub fn none() -> Self {
        Self::default()
    }

    /// The `nth` call from now on fails; 1 is the next.
    pub fn fail_nth(&self, nth: usize, errno: Errno) {
        self.add(None, nth, errno);
    }

    /// The `nth` call of this name from now on fails; 1 is the next.
    pub fn fail_call(&self, call: &str, nth: usize, errno: Errno) {
        self.add(Some(call.to_owned()), nth, errno);
    }

    fn add(&self, call: Option<String>, nth: usize, errno: Errno) {
        self.lock().faults.push(Fault { call, remaining: nth.saturating_sub(1), errno });
    }

    /// Nothing fails from now on, and the list of calls is empty.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// The calls so far, those that failed included.
    pub fn calls(&self) -> Vec<&'static str> {
        self.lock().calls.clone()
    }

    /// To be asked before each call.
    pub(crate) fn check(&self, call: &'static str) -> Result<(), Errno> {
        let mut state = self.lock();
        state.calls.push(call);
        let mut failed = None;
        state.faults.retain_mut(|fault| {
            if fault.call.as_deref().is_some_and(|name| name != call) {
                return true;
            }
            if fault.remaining > 0 {
                fault.remaining -= 1;
                return true;
            }
            failed = failed.or(Some(fault.errno));
            false
        });
        failed.map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nth_call_fails_once() {
        let faults = Faults::none();
        faults.fail_nth(2, Errno::ENOMEM);
        assert_eq!(faults.check("a"), Ok(()));
        assert_eq!(faults.check("b"), Err(Errno::ENOMEM));
        assert_eq!(faults.check("c"), Ok(()));
        assert_eq!(faults.calls(), ["a", "b", "c"]);
    }

    #[test]
    fn a_named_call_fails_and_no_other() {
        let faults = Faults::none();
        faults.fail_call("attach", 2, Errno::EBUSY);
        assert_eq!(faults.check("attach"), Ok(()));
        assert_eq!(faults.check("detach"), Ok(()));
        assert_eq!(faults.check("attach"), Err(Errno::EBUSY));
        assert_eq!(faults.check("attach"), Ok(()));
    }
}
