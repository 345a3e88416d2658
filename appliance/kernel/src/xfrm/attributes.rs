//! The attributes that follow a state, and those that other messages share with it.

use super::{
    Aead, Algorithms, Authentication, Cipher, Direction, Encapsulation, Mark, Offload, Replay,
    ReplayEsn, ReplayLegacy, State,
    constants::{
        XFRMA_ALG_AEAD, XFRMA_ALG_AUTH, XFRMA_ALG_AUTH_TRUNC, XFRMA_ALG_CRYPT, XFRMA_ENCAP,
        XFRMA_IF_ID, XFRMA_LASTUSED, XFRMA_MARK, XFRMA_OFFLOAD_DEV, XFRMA_REPLAY_ESN_VAL,
        XFRMA_REPLAY_VAL, XFRMA_SA_DIR, XFRMA_SA_EXTRA_FLAGS, XFRMA_SA_PCPU, XFRMA_SET_MARK,
        XFRMA_SET_MARK_MASK,
    },
    wire::{Malformed, Read, Reader, Writer},
};

pub(super) fn write_mark(writer: &mut Writer, mark: Option<Mark>) {
    if let Some(Mark { value, mask }) = mark {
        writer.attribute(XFRMA_MARK, |writer| {
            writer.u32(value);
            writer.u32(mask);
        });
    }
}

pub(super) fn read_mark(mut reader: Reader<'_>) -> Read<Option<Mark>> {
    Ok(Some(Mark { value: reader.u32()?, mask: reader.u32()? }))
}

pub(super) fn read_direction(mut reader: Reader<'_>) -> Read<Direction> {
    match reader.u8()? {
        1 => Ok(Direction::In),
        2 => Ok(Direction::Out),
        _ => Err(Malformed::Value("the direction")),
    }
}

/// The attributes of a state.
pub(super) struct StateAttributes;

impl StateAttributes {
    pub(super) fn write(state: &State, writer: &mut Writer) {
        state.algorithms.write(writer);
        if let Some(encapsulation) = &state.encapsulation {
            writer.attribute(XFRMA_ENCAP, |writer| encapsulation.write(writer));
        }
        write_mark(writer, state.mark);
        if let Some(mark) = state.output_mark {
            writer.attribute_u32(XFRMA_SET_MARK, Some(mark.value));
            writer.attribute_u32(XFRMA_SET_MARK_MASK, Some(mark.mask));
        }
        writer.attribute_u32(
            XFRMA_SA_EXTRA_FLAGS,
            Some(state.extra_flags).filter(|flags| *flags != 0),
        );
        if let Some(replay) = &state.replay {
            replay.write(writer);
        }
        if let Some(offload) = state.offload {
            writer.attribute(XFRMA_OFFLOAD_DEV, |writer| offload.write(writer));
        }
        writer.attribute_u32(XFRMA_IF_ID, state.if_id);
        if let Some(direction) = state.direction {
            writer.attribute(XFRMA_SA_DIR, |writer| writer.u8(direction as u8));
        }
        writer.attribute_u32(XFRMA_SA_PCPU, state.cpu);
        if let Some(seconds) = state.last_used {
            writer.attribute(XFRMA_LASTUSED, |writer| writer.u64(seconds));
        }
    }

    pub(super) fn read(mut state: State, reader: Reader<'_>) -> Read<State> {
        let mut aead = None;
        let (mut cipher, mut authentication, mut plain) = (None, None, None);
        let (mut set_mark, mut set_mask) = (None, None);
        let family = state.ends.family();
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_ALG_AEAD => aead = Some(Aead::read(value)?),
                XFRMA_ALG_CRYPT => cipher = Some(Cipher::read(value)?),
                XFRMA_ALG_AUTH_TRUNC => authentication = Some(Authentication::read(value)?),
                XFRMA_ALG_AUTH => plain = Some(Authentication::read_plain(value)?),
                XFRMA_ENCAP => state.encapsulation = Some(Encapsulation::read(value, family)?),
                XFRMA_MARK => state.mark = read_mark(value)?,
                XFRMA_SET_MARK => set_mark = Some(value.u32()?),
                XFRMA_SET_MARK_MASK => set_mask = Some(value.u32()?),
                XFRMA_SA_EXTRA_FLAGS => state.extra_flags = value.u32()?,
                // The kernel gives one of the two.
                XFRMA_REPLAY_ESN_VAL => state.replay = Some(Replay::Esn(ReplayEsn::read(value)?)),
                XFRMA_REPLAY_VAL => {
                    state.replay = Some(Replay::Legacy(ReplayLegacy::read(value)?));
                }
                XFRMA_OFFLOAD_DEV => state.offload = Some(Offload::read(value)?),
                XFRMA_IF_ID => state.if_id = Some(value.u32()?),
                XFRMA_SA_DIR => state.direction = Some(read_direction(value)?),
                XFRMA_SA_PCPU => state.cpu = Some(value.u32()?),
                XFRMA_LASTUSED => state.last_used = Some(value.u64()?),
                _ => {}
            }
        }
        state.output_mark =
            set_mark.map(|value| Mark { value, mask: set_mask.unwrap_or(u32::MAX) });
        // The kernel tells an authentication in both forms.
        let authentication = authentication.or(plain);
        state.algorithms =
            aead.map_or(Algorithms::Apart { cipher, authentication }, Algorithms::Aead);
        Ok(state)
    }
}
