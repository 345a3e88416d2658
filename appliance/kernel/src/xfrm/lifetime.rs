use super::wire::{Read, Reader, Writer};

/// When the kernel tells (soft) and when it ends (hard) a state or a policy: `struct xfrm_lifetime_cfg`. What is `None` does not
/// end: of bytes and packets the kernel's word is `XFRM_INF`, of times 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Bytes before it is told.
    pub soft_bytes: Option<u64>,
    /// Bytes before it ends.
    pub hard_bytes: Option<u64>,
    /// Packets before it is told.
    pub soft_packets: Option<u64>,
    /// Packets before it ends.
    pub hard_packets: Option<u64>,
    /// Seconds since it was added before it is told.
    pub soft_seconds: Option<u64>,
    /// Seconds since it was added before it ends.
    pub hard_seconds: Option<u64>,
    /// Seconds since its first use before it is told.
    pub soft_use_seconds: Option<u64>,
    /// Seconds since its first use before it ends.
    pub hard_use_seconds: Option<u64>,
}

const WITHOUT_END: u64 = u64::MAX;

impl Limits {
    pub(super) fn write(&self, writer: &mut Writer) {
        let counts = [self.soft_bytes, self.hard_bytes, self.soft_packets, self.hard_packets];
        for count in counts {
            writer.u64(count.unwrap_or(WITHOUT_END));
        }
        let times =
            [self.soft_seconds, self.hard_seconds, self.soft_use_seconds, self.hard_use_seconds];
        for time in times {
            writer.u64(time.unwrap_or(0));
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let mut count = || Ok(Some(reader.u64()?).filter(|count| *count != WITHOUT_END));
        let (soft_bytes, hard_bytes) = (count()?, count()?);
        let (soft_packets, hard_packets) = (count()?, count()?);
        let mut time = || Ok(Some(reader.u64()?).filter(|time| *time != 0));
        Ok(Self {
            soft_bytes,
            hard_bytes,
            soft_packets,
            hard_packets,
            soft_seconds: time()?,
            hard_seconds: time()?,
            soft_use_seconds: time()?,
            hard_use_seconds: time()?,
        })
    }
}

/// What a state or a policy has seen: `struct xfrm_lifetime_cur`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// Bytes.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
    /// When it was added, seconds since 1970.
    pub added: u64,
    /// When it was used first, seconds since 1970; 0 is never.
    pub first_used: u64,
}

impl Usage {
    pub(super) fn write(&self, writer: &mut Writer) {
        for value in [self.bytes, self.packets, self.added, self.first_used] {
            writer.u64(value);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self {
            bytes: reader.u64()?,
            packets: reader.u64()?,
            added: reader.u64()?,
            first_used: reader.u64()?,
        })
    }
}
