use super::{
    constants::{MAX_BITMAP_WORDS, XFRMA_REPLAY_ESN_VAL, XFRMA_REPLAY_VAL},
    wire::{Malformed, Read, Reader, Writer},
};

/// Sequence numbers, and which of the last ones have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// 32-bit numbers and a window of at most 32.
    Legacy(ReplayLegacy),
    /// 64-bit numbers (with the state's flag `esn`), or a larger window.
    Esn(ReplayEsn),
}

impl Replay {
    pub(super) fn write(&self, writer: &mut Writer) {
        match self {
            Self::Legacy(replay) => {
                writer.attribute(XFRMA_REPLAY_VAL, |writer| replay.write(writer));
            }
            Self::Esn(replay) => {
                writer.attribute(XFRMA_REPLAY_ESN_VAL, |writer| replay.write(writer));
            }
        }
    }

    /// The last number that was sent.
    pub fn sent(&self) -> u64 {
        match self {
            Self::Legacy(replay) => replay.sent.into(),
            Self::Esn(replay) => replay.sent,
        }
    }

    /// The highest number that arrived.
    pub fn received(&self) -> u64 {
        match self {
            Self::Legacy(replay) => replay.received.into(),
            Self::Esn(replay) => replay.received,
        }
    }
}

/// `struct xfrm_replay_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayLegacy {
    /// The last number that was sent.
    pub sent: u32,
    /// The highest number that arrived.
    pub received: u32,
    /// Which of the last 32 have arrived.
    pub bitmap: u32,
}

impl ReplayLegacy {
    fn write(self, writer: &mut Writer) {
        for value in [self.sent, self.received, self.bitmap] {
            writer.u32(value);
        }
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        Ok(Self { sent: reader.u32()?, received: reader.u32()?, bitmap: reader.u32()? })
    }
}

/// `struct xfrm_replay_state_esn`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplayEsn {
    /// The last number that was sent.
    pub sent: u64,
    /// The highest number that arrived.
    pub received: u64,
    /// How far behind the highest number a packet may be, in packets. For a state whose direction is given as outbound it must be
    /// 0 and the bitmap empty; where no direction is given, the kernel wants at least 1.
    pub window: u32,
    /// Which of the last packets have arrived: at least as many bits as the window has.
    pub bitmap: Bitmap,
}

/// Words of a replay window's bitmap, at most 128 (4096 packets).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap(Vec<u32>);

/// A window of more packets than the kernel keeps in mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a replay window of {0} packets: the kernel has room for 4096")]
pub struct WindowTooLarge(pub usize);

impl Bitmap {
    /// These words.
    ///
    /// # Errors
    /// When there are more than 128.
    pub fn new(words: Vec<u32>) -> Result<Self, WindowTooLarge> {
        if words.len() > MAX_BITMAP_WORDS {
            return Err(WindowTooLarge(words.len() * 32));
        }
        Ok(Self(words))
    }

    /// The words.
    pub fn words(&self) -> &[u32] {
        &self.0
    }
}

impl ReplayEsn {
    /// What a new inbound state begins with.
    ///
    /// # Errors
    /// When the window has more than 4096 packets.
    pub fn inbound(window: u32) -> Result<Self, WindowTooLarge> {
        let words = window.div_ceil(32) as usize;
        if words > MAX_BITMAP_WORDS {
            return Err(WindowTooLarge(window as usize));
        }
        Ok(Self { window, bitmap: Bitmap(vec![0; words]), ..Self::default() })
    }

    /// What a new outbound state begins with, if its direction is given.
    pub fn outbound() -> Self {
        Self::default()
    }

    fn write(&self, writer: &mut Writer) {
        let halves = |number: u64| ((number >> 32) as u32, number as u32);
        let ((sent_high, sent), (received_high, received)) =
            (halves(self.sent), halves(self.received));
        let words = self.bitmap.words();
        for value in [words.len() as u32, sent, received, sent_high, received_high, self.window] {
            writer.u32(value);
        }
        for word in words {
            writer.u32(*word);
        }
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let words = reader.u32()? as usize;
        let (sent, received) = (reader.u32()?, reader.u32()?);
        let (sent_high, received_high) = (reader.u32()?, reader.u32()?);
        let window = reader.u32()?;
        if words > MAX_BITMAP_WORDS {
            return Err(Malformed::Length("a replay window"));
        }
        let bitmap = (0..words).map(|_| reader.u32()).collect::<Read<_>>()?;
        let whole = |high: u32, low: u32| u64::from(high) << 32 | u64::from(low);
        Ok(Self {
            sent: whole(sent_high, sent),
            received: whole(received_high, received),
            window,
            bitmap: Bitmap(bitmap),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_room_for_its_packets() {
        for (window, words) in [(1, 1), (32, 1), (33, 2), (4096, 128)] {
            assert_eq!(ReplayEsn::inbound(window).unwrap().bitmap.words().len(), words);
        }
        assert_eq!(ReplayEsn::inbound(4097), Err(WindowTooLarge(4097)));
        assert_eq!(Bitmap::new(vec![0; 129]), Err(WindowTooLarge(129 * 32)));
    }
}
