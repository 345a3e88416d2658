use crate::{
    Tables,
    abi::{Class, Event, Reason, ServiceCounter},
    stages,
};

/// What becomes of a packet, why, and by which objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The reason, which implies the class.
    pub reason: Reason,
    /// For sent packets: the link they leave by.
    pub ifindex: u32,
    /// Index of the service that decided, or [`Event::NONE`].
    pub service: u32,
    /// Id of the backend, or zero.
    pub backend: u32,
}

/// The kinds of programs that a packet may be left to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defer {
    /// What the fast program can't do.
    Full = 0,
    /// What needs translation.
    Nat = 1,
    /// A translated flow that begins.
    Open = 2,
    /// An answer to a packet that is too big.
    TooBig = 3,
}

/// No link has this index.
const DEFERRED: u32 = u32::MAX;

/// What the program returns to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// On to the network stack.
    Pass,
    /// Dropped.
    Drop,
    /// Out of the link it came in by.
    Transmit,
    /// Out of this other link.
    Redirect(u32),
}

impl Outcome {
    /// None yet: another program must look at the packet.
    #[inline(always)]
    pub(crate) const fn defer(to: Defer) -> Self {
        let (ifindex, backend) = (DEFERRED, to as u32);
        Self { reason: Reason::DropInternal, ifindex, service: Event::NONE, backend }
    }

    /// The program that must look at the packet, if one must.
    #[inline(always)]
    pub(crate) const fn deferred(&self) -> Option<Defer> {
        if self.ifindex != DEFERRED {
            return None;
        }
        Some(match self.backend {
            0 => Defer::Full,
            1 => Defer::Nat,
            2 => Defer::Open,
            _ => Defer::TooBig,
        })
    }

    /// The packet ends here, or goes on to the host, unchanged.
    #[inline(always)]
    pub(crate) const fn end(reason: Reason) -> Self {
        Self { reason, ifindex: 0, service: Event::NONE, backend: 0 }
    }

    /// The packet is dropped on behalf of a service, which has been told.
    #[inline(always)]
    pub(crate) const fn drop(reason: Reason, service: u32) -> Self {
        Self { reason, ifindex: 0, service, backend: 0 }
    }

    /// The packet is sent to a backend or from one.
    #[inline(always)]
    pub(crate) const fn send(reason: Reason, ifindex: u32, service: u32, backend: u32) -> Self {
        Self { reason, ifindex, service, backend }
    }

    /// The packet is dropped on behalf of a service.
    #[inline(always)]
    pub(crate) fn refuse<T: Tables>(tables: &T, service: u32, counter: ServiceCounter) -> Self {
        stages::count_service(tables, service, counter);
        let reason = match counter {
            ServiceCounter::SourceNotAllowed => Reason::DropSourceNotAllowed,
            ServiceCounter::NoBackend => Reason::DropNoBackend,
            ServiceCounter::NoNextHop => Reason::DropNoNextHop,
            ServiceCounter::TooBig => Reason::DropTooBig,
            ServiceCounter::NatExhausted => Reason::DropNatExhausted,
            ServiceCounter::NatUnknownFlow => Reason::DropNatUnknownFlow,
            ServiceCounter::FragmentUnknown => Reason::DropFragmentUnknown,
            ServiceCounter::BackendDead => Reason::DropBackendDead,
            ServiceCounter::Remembered
            | ServiceCounter::RememberedFullOld
            | ServiceCounter::RememberedFullNew
            | ServiceCounter::SentBefore => Reason::DropInternal,
        };
        Self::drop(reason, service)
    }

    /// What a program on the link `ifindex` returns.
    #[inline(always)]
    pub const fn action(&self, ifindex: u32) -> Action {
        match self.reason.class() {
            Class::Pass => Action::Pass,
            Class::Drop => Action::Drop,
            Class::Sent if self.ifindex == ifindex => Action::Transmit,
            Class::Sent => Action::Redirect(self.ifindex),
        }
    }
}
