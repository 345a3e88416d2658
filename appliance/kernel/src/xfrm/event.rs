//! What the kernel tells without being asked.

use super::{
    Ends, Policy, Replay, ReplayEsn, ReplayLegacy, Selector, State, StateId, Templates, Usage,
    attributes::{read_mark, write_mark},
    constants::{
        XFRMA_ETIMER_THRESH, XFRMA_IF_ID, XFRMA_LTIME_VAL, XFRMA_MARK, XFRMA_REPLAY_ESN_VAL,
        XFRMA_REPLAY_THRESH, XFRMA_REPLAY_VAL, XFRMA_SA_PCPU, XFRMA_TMPL,
    },
    ends::{Family, read_address, write_address},
    wire::{Malformed, Read, Reader, Writer},
};
use std::net::IpAddr;

/// A state came to a limit: `struct xfrm_user_expire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The state; without its algorithms.
    pub state: State,
    /// Whether it has ended; if not, it is to be replaced soon.
    pub hard: bool,
}

impl Expired {
    pub(super) fn write(&self, writer: &mut Writer) {
        self.state.write_info(writer);
        write_hard(writer, self.hard);
        self.state.write_attributes(writer);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let state = State::read_info(&mut reader)?;
        let hard = read_hard(&mut reader)?;
        Ok(Self { state: state.with_attributes(reader)?, hard })
    }
}

/// A policy came to a limit: `struct xfrm_user_polexpire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyExpired {
    /// The policy.
    pub policy: Policy,
    /// Whether it has ended.
    pub hard: bool,
}

impl PolicyExpired {
    pub(super) fn write(&self, writer: &mut Writer) {
        self.policy.write_info(writer);
        write_hard(writer, self.hard);
        self.policy.write_attributes(writer);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let policy = Policy::read_info(&mut reader)?;
        let hard = read_hard(&mut reader)?;
        Ok(Self { policy: policy.with_attributes(reader)?, hard })
    }
}

fn write_hard(writer: &mut Writer, hard: bool) {
    writer.bytes(&[hard.into(), 0, 0, 0, 0, 0, 0, 0]);
}

fn read_hard(reader: &mut Reader<'_>) -> Read<bool> {
    let hard = reader.u8()? != 0;
    reader.skip(7)?;
    Ok(hard)
}

/// A packet wants a state that there is not: `struct xfrm_user_acquire`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acquire {
    /// The outer addresses of the wanted state.
    pub ends: Ends,
    /// The protocol.
    pub protocol: u8,
    /// The packet.
    pub selector: Selector,
    /// The policy that wants it.
    pub policy: Policy,
    /// The number to give to the state that answers.
    pub sequence: u32,
    /// The processor, where the policy wants a state for each.
    pub cpu: Option<u32>,
}

impl Acquire {
    pub(super) fn write(&self, writer: &mut Writer) {
        write_address(writer, self.ends.destination());
        writer.u32(0);
        writer.bytes(&[self.protocol, 0, 0, 0]);
        write_address(writer, self.ends.source());
        self.selector.write(writer);
        self.policy.write_info(writer);
        for algorithms in [u32::MAX; 3] {
            writer.u32(algorithms);
        }
        writer.u32(self.sequence);
        self.policy.write_attributes(writer);
        writer.attribute_u32(XFRMA_SA_PCPU, self.cpu);
    }

    /// The message does not say of which family its outer addresses are: its template does, or else the packet's counts.
    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let destination = read_address(&mut reader)?;
        reader.skip(4)?;
        let protocol = reader.u8()?;
        reader.skip(3)?;
        let source = read_address(&mut reader)?;
        let selector = Selector::read(&mut reader)?;
        let policy = Policy::read_info(&mut reader)?;
        reader.skip(12)?;
        let sequence = reader.u32()?;
        let (mut cpu, mut family) = (None, selector.family());
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_SA_PCPU => cpu = Some(value.u32()?),
                XFRMA_TMPL => {
                    let templates = Templates::read(value)?;
                    let first = templates.as_slice().first();
                    family = first.map(|template| template.ends.family()).or(family);
                }
                _ => {}
            }
        }
        let family = family.ok_or(Malformed::Value("the address family"))?;
        let ends = Ends::of(family, source, destination);
        let policy = policy.with_attributes(reader)?;
        Ok(Self { ends, protocol, selector, policy, sequence, cpu })
    }
}

/// Why the kernel tells of a state's progress: `XFRM_AE_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventCause(pub u32);

impl EventCause {
    /// The sequence number went on by the threshold.
    pub const REPLAY: Self = Self(16);
    /// The time was up.
    pub const TIMER: Self = Self(32);
    /// Somebody changed it.
    pub const CHANGED: Self = Self(64);

    /// Whether it is this one.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// How far a state has come: `struct xfrm_aevent_id` and its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssociationEvent {
    /// The state.
    pub id: StateId,
    /// Who encrypts.
    pub source: IpAddr,
    /// Why it is told; in a request what is asked for.
    pub cause: EventCause,
    /// What templates find the state by.
    pub request_id: u32,
    /// Sequence numbers.
    pub replay: Option<Replay>,
    /// Bytes and packets.
    pub usage: Option<Usage>,
    /// After how many packets it is told again.
    pub replay_threshold: Option<u32>,
    /// After which time it is told again, in tenths of a second.
    pub timer_threshold: Option<u32>,
    /// The xfrm interface.
    pub if_id: Option<u32>,
}

impl AssociationEvent {
    /// The question for a state's sequence numbers and counters.
    pub fn question(id: StateId, source: IpAddr) -> Self {
        Self {
            id,
            source,
            cause: EventCause::default(),
            request_id: 0,
            replay: None,
            usage: None,
            replay_threshold: None,
            timer_threshold: None,
            if_id: None,
        }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.id.write(writer);
        write_address(writer, self.source);
        writer.u32(self.cause.0);
        writer.u32(self.request_id);
        if let Some(replay) = &self.replay {
            replay.write(writer);
        }
        if let Some(usage) = &self.usage {
            writer.attribute(XFRMA_LTIME_VAL, |writer| usage.write(writer));
        }
        writer.attribute_u32(XFRMA_REPLAY_THRESH, self.replay_threshold);
        writer.attribute_u32(XFRMA_ETIMER_THRESH, self.timer_threshold);
        write_mark(writer, self.id.mark);
        writer.attribute_u32(XFRMA_IF_ID, self.if_id);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let id = StateId::read(&mut reader)?;
        let source = read_address(&mut reader)?;
        let source = super::ends::address(Family::of(id.destination), source);
        let mut event = Self::question(id, source);
        (event.cause, event.request_id) = (EventCause(reader.u32()?), reader.u32()?);
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_REPLAY_ESN_VAL => event.replay = Some(Replay::Esn(ReplayEsn::read(value)?)),
                XFRMA_REPLAY_VAL => {
                    event.replay = Some(Replay::Legacy(ReplayLegacy::read(value)?));
                }
                XFRMA_LTIME_VAL => event.usage = Some(Usage::read(&mut value)?),
                XFRMA_REPLAY_THRESH => event.replay_threshold = Some(value.u32()?),
                XFRMA_ETIMER_THRESH => event.timer_threshold = Some(value.u32()?),
                XFRMA_MARK => event.id.mark = read_mark(value)?,
                XFRMA_IF_ID => event.if_id = Some(value.u32()?),
                _ => {}
            }
        }
        Ok(event)
    }
}
