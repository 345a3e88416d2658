use super::{
    Acquire, Addresses, AssociationEvent, Defaults, Expired, Policy, PolicyCounts, PolicyExpired,
    PolicyId, State, StateCounts, StateId,
    attributes::{read_mark, write_mark},
    constants::{
        XFRM_MSG_ACQUIRE, XFRM_MSG_DELPOLICY, XFRM_MSG_DELSA, XFRM_MSG_EXPIRE,
        XFRM_MSG_FLUSHPOLICY, XFRM_MSG_FLUSHSA, XFRM_MSG_GETAE, XFRM_MSG_GETDEFAULT,
        XFRM_MSG_GETPOLICY, XFRM_MSG_GETSA, XFRM_MSG_GETSADINFO, XFRM_MSG_GETSPDINFO,
        XFRM_MSG_NEWAE, XFRM_MSG_NEWPOLICY, XFRM_MSG_NEWSA, XFRM_MSG_NEWSADINFO,
        XFRM_MSG_NEWSPDINFO, XFRM_MSG_POLEXPIRE, XFRM_MSG_SETDEFAULT, XFRM_MSG_UPDPOLICY,
        XFRM_MSG_UPDSA, XFRMA_ADDRESS_FILTER, XFRMA_MARK, XFRMA_PROTO,
    },
    ends::{read_address, write_address},
    wire::{Malformed, Read, Reader, Writer},
};
use netlink_packet_core::{
    NLM_F_DUMP, NetlinkDeserializable, NetlinkHeader, NetlinkPayload, NetlinkSerializable,
};
use zeroize::Zeroizing;

/// What is asked of the kernel or told by it. Which of the two it is stands in the header: `NewState` asks for a state, answers the
/// question for it, and tells of one that is new.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "it lives while it is written or was just read")]
pub enum Message {
    /// A state.
    NewState(State),
    /// A state in the place of one with the same id.
    UpdateState(State),
    /// The end of a state.
    DeleteState(StateId),
    /// The question for a state.
    GetState(StateId),
    /// The question for all states.
    DumpStates(Filter),
    /// The end of all states of a protocol; 0 is any. The kernel flushes by nothing else: whoever wants those of an interface
    /// or of a mark alone lists and deletes them.
    FlushStates(u8),
    /// A policy.
    NewPolicy(Policy),
    /// A policy, whether there is one with the same id or not.
    UpdatePolicy(Policy),
    /// The end of a policy.
    DeletePolicy(PolicyId),
    /// The question for a policy.
    GetPolicy(PolicyId),
    /// The question for all policies.
    DumpPolicies,
    /// The end of all policies.
    FlushPolicies,
    /// Default policies.
    SetDefaults(Defaults),
    /// The question for them.
    GetDefaults,
    /// How many states there are.
    StateCounts(StateCounts),
    /// The question for it.
    GetStateCounts,
    /// How many policies there are.
    PolicyCounts(PolicyCounts),
    /// The question for it.
    GetPolicyCounts,
    /// How far a state has come.
    Association(AssociationEvent),
    /// The question for it.
    GetAssociation(AssociationEvent),
    /// A state came to a limit.
    Expired(Expired),
    /// A policy came to a limit.
    PolicyExpired(PolicyExpired),
    /// A packet wants a state.
    Acquire(Acquire),
}

/// Which states are listed; the default is all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The protocol.
    pub protocol: Option<u8>,
    /// The outer addresses.
    pub addresses: Addresses,
}

impl Filter {
    fn write(&self, writer: &mut Writer) {
        if let Some(protocol) = self.protocol {
            writer.attribute(XFRMA_PROTO, |writer| writer.u8(protocol));
        }
        if self.addresses != Addresses::Unspecified {
            let (family, source, destination) = self.addresses.parts();
            writer.attribute(XFRMA_ADDRESS_FILTER, |writer| {
                write_address(writer, source.0);
                write_address(writer, destination.0);
                writer.u16(family);
                writer.bytes(&[source.1, destination.1]);
            });
        }
    }

    fn read(reader: Reader<'_>) -> Read<Self> {
        let mut filter = Self::default();
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_PROTO => filter.protocol = Some(value.u8()?),
                XFRMA_ADDRESS_FILTER => {
                    let (source, destination) =
                        (read_address(&mut value)?, read_address(&mut value)?);
                    let (family, lengths) = (value.u16()?, [value.u8()?, value.u8()?]);
                    filter.addresses =
                        Addresses::of(family, (source, lengths[0]), (destination, lengths[1]))?;
                }
                _ => {}
            }
        }
        Ok(filter)
    }
}

impl Message {
    /// The number of its type.
    pub fn kind(&self) -> u16 {
        match self {
            Self::NewState(_) => XFRM_MSG_NEWSA,
            Self::UpdateState(_) => XFRM_MSG_UPDSA,
            Self::DeleteState(_) => XFRM_MSG_DELSA,
            Self::GetState(_) | Self::DumpStates(_) => XFRM_MSG_GETSA,
            Self::FlushStates(_) => XFRM_MSG_FLUSHSA,
            Self::NewPolicy(_) => XFRM_MSG_NEWPOLICY,
            Self::UpdatePolicy(_) => XFRM_MSG_UPDPOLICY,
            Self::DeletePolicy(_) => XFRM_MSG_DELPOLICY,
            Self::GetPolicy(_) | Self::DumpPolicies => XFRM_MSG_GETPOLICY,
            Self::FlushPolicies => XFRM_MSG_FLUSHPOLICY,
            Self::SetDefaults(_) => XFRM_MSG_SETDEFAULT,
            Self::GetDefaults => XFRM_MSG_GETDEFAULT,
            Self::StateCounts(_) => XFRM_MSG_NEWSADINFO,
            Self::GetStateCounts => XFRM_MSG_GETSADINFO,
            Self::PolicyCounts(_) => XFRM_MSG_NEWSPDINFO,
            Self::GetPolicyCounts => XFRM_MSG_GETSPDINFO,
            Self::Association(_) => XFRM_MSG_NEWAE,
            Self::GetAssociation(_) => XFRM_MSG_GETAE,
            Self::Expired(_) => XFRM_MSG_EXPIRE,
            Self::PolicyExpired(_) => XFRM_MSG_POLEXPIRE,
            Self::Acquire(_) => XFRM_MSG_ACQUIRE,
        }
    }

    /// The bytes behind the netlink header. They are wiped when they are dropped, because they may hold keys.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut writer = Writer::new();
        match self {
            Self::NewState(state) | Self::UpdateState(state) => {
                state.write_info(&mut writer);
                state.write_attributes(&mut writer);
            }
            Self::DeleteState(id) | Self::GetState(id) => {
                id.write(&mut writer);
                write_mark(&mut writer, id.mark);
            }
            Self::DumpStates(filter) => filter.write(&mut writer),
            Self::FlushStates(protocol) => writer.u8(*protocol),
            Self::NewPolicy(policy) | Self::UpdatePolicy(policy) => {
                policy.write_info(&mut writer);
                policy.write_attributes(&mut writer);
            }
            Self::DeletePolicy(id) | Self::GetPolicy(id) => id.write(&mut writer),
            Self::DumpPolicies | Self::FlushPolicies => {}
            Self::SetDefaults(defaults) => defaults.write(&mut writer),
            Self::GetDefaults => Defaults::all(super::DefaultAction::Unchanged).write(&mut writer),
            Self::StateCounts(counts) => counts.write(&mut writer),
            Self::PolicyCounts(counts) => counts.write(&mut writer),
            Self::GetStateCounts | Self::GetPolicyCounts => writer.u32(u32::MAX),
            Self::Association(event) | Self::GetAssociation(event) => event.write(&mut writer),
            Self::Expired(expired) => expired.write(&mut writer),
            Self::PolicyExpired(expired) => expired.write(&mut writer),
            Self::Acquire(acquire) => acquire.write(&mut writer),
        }
        writer.finish()
    }

    /// A message of this type from the bytes behind the netlink header, whose flags tell a listing from a question.
    ///
    /// # Errors
    /// When the type is not known here, or the bytes are none of it.
    pub fn from_bytes(kind: u16, flags: u16, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "the end of its fixed part");
        let is_dump = flags & NLM_F_DUMP == NLM_F_DUMP;
        Ok(match kind {
            XFRM_MSG_NEWSA => Self::NewState(State::read(reader)?),
            XFRM_MSG_UPDSA => Self::UpdateState(State::read(reader)?),
            XFRM_MSG_DELSA => Self::DeleteState(state_id(reader)?),
            XFRM_MSG_GETSA if is_dump => Self::DumpStates(Filter::read(reader)?),
            XFRM_MSG_GETSA => Self::GetState(state_id(reader)?),
            XFRM_MSG_FLUSHSA => Self::FlushStates(reader.u8()?),
            XFRM_MSG_NEWPOLICY => Self::NewPolicy(Policy::read(reader)?),
            XFRM_MSG_UPDPOLICY => Self::UpdatePolicy(Policy::read(reader)?),
            XFRM_MSG_DELPOLICY => Self::DeletePolicy(PolicyId::read(reader)?),
            XFRM_MSG_GETPOLICY if is_dump => Self::DumpPolicies,
            XFRM_MSG_GETPOLICY => Self::GetPolicy(PolicyId::read(reader)?),
            XFRM_MSG_FLUSHPOLICY => Self::FlushPolicies,
            XFRM_MSG_SETDEFAULT => Self::SetDefaults(Defaults::read(reader)?),
            // The answer has the type of the question.
            XFRM_MSG_GETDEFAULT => match Defaults::read(reader)? {
                unchanged if unchanged == Defaults::all(super::DefaultAction::Unchanged) => {
                    Self::GetDefaults
                }
                defaults => Self::SetDefaults(defaults),
            },
            XFRM_MSG_NEWSADINFO => Self::StateCounts(StateCounts::read(reader)?),
            XFRM_MSG_GETSADINFO => reader.skip(4).map(|()| Self::GetStateCounts)?,
            XFRM_MSG_NEWSPDINFO => Self::PolicyCounts(PolicyCounts::read(reader)?),
            XFRM_MSG_GETSPDINFO => reader.skip(4).map(|()| Self::GetPolicyCounts)?,
            XFRM_MSG_NEWAE => Self::Association(AssociationEvent::read(reader)?),
            XFRM_MSG_GETAE => Self::GetAssociation(AssociationEvent::read(reader)?),
            XFRM_MSG_EXPIRE => Self::Expired(Expired::read(reader)?),
            XFRM_MSG_POLEXPIRE => Self::PolicyExpired(PolicyExpired::read(reader)?),
            XFRM_MSG_ACQUIRE => Self::Acquire(Acquire::read(reader)?),
            unknown => return Err(Malformed::Type(unknown)),
        })
    }
}

fn state_id(mut reader: Reader<'_>) -> Read<StateId> {
    let mut id = StateId::read(&mut reader)?;
    let attributes = reader.attributes()?;
    if let Some((_, mark)) = attributes.into_iter().find(|(kind, _)| *kind == XFRMA_MARK) {
        id.mark = read_mark(mark)?;
    }
    Ok(id)
}

impl From<Message> for NetlinkPayload<Message> {
    fn from(message: Message) -> Self {
        Self::InnerMessage(message)
    }
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind()
    }

    fn buffer_len(&self) -> usize {
        self.to_bytes().len()
    }

    /// The buffer holds keys afterwards: wiping it is the caller's.
    fn serialize(&self, buffer: &mut [u8]) {
        for (to, from) in buffer.iter_mut().zip(self.to_bytes().iter()) {
            *to = *from;
        }
    }
}

impl NetlinkDeserializable for Message {
    type Error = Malformed;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, Malformed> {
        Self::from_bytes(header.message_type, header.flags, payload)
    }
}
