use super::{
    constants::{XFRMA_SAD_CNT, XFRMA_SAD_HINFO, XFRMA_SPD_INFO},
    wire::{Malformed, Read, Reader, Writer},
};

/// What happens to packets that no policy matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DefaultAction {
    /// In a request: as it is.
    Unchanged = 0,
    /// They are dropped.
    Block = 1,
    /// They pass.
    Accept = 2,
}

impl DefaultAction {
    fn read(number: u8) -> Read<Self> {
        match number {
            0 => Ok(Self::Unchanged),
            1 => Ok(Self::Block),
            2 => Ok(Self::Accept),
            _ => Err(Malformed::Value("a default policy")),
        }
    }
}

/// The default policies of a network namespace: `struct xfrm_userpolicy_default`, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Defaults {
    /// Packets for this host.
    pub inbound: DefaultAction,
    /// Packets that pass through.
    pub forward: DefaultAction,
    /// Packets that leave.
    pub outbound: DefaultAction,
}

impl Defaults {
    /// What a namespace begins with.
    pub const ACCEPT: Self = Self::all(DefaultAction::Accept);

    /// The same everywhere.
    pub const fn all(action: DefaultAction) -> Self {
        Self { inbound: action, forward: action, outbound: action }
    }

    pub(super) fn write(self, writer: &mut Writer) {
        for action in [self.inbound, self.forward, self.outbound] {
            writer.u8(action as u8);
        }
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let mut action = || DefaultAction::read(reader.u8()?);
        Ok(Self { inbound: action()?, forward: action()?, outbound: action()? })
    }
}

/// How many states there are (SAD info).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateCounts {
    /// States.
    pub states: u32,
    /// Lists that the kernel looks them up in, now.
    pub buckets: u32,
    /// The most lists.
    pub max_buckets: u32,
}

impl StateCounts {
    pub(super) fn write(self, writer: &mut Writer) {
        writer.u32(u32::MAX);
        writer.attribute_u32(XFRMA_SAD_CNT, Some(self.states));
        writer.attribute(XFRMA_SAD_HINFO, |writer| {
            writer.u32(self.buckets);
            writer.u32(self.max_buckets);
        });
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        reader.skip(4)?;
        let mut counts = Self::default();
        for (kind, mut value) in reader.attributes()? {
            match kind {
                XFRMA_SAD_CNT => counts.states = value.u32()?,
                XFRMA_SAD_HINFO => {
                    (counts.buckets, counts.max_buckets) = (value.u32()?, value.u32()?);
                }
                _ => {}
            }
        }
        Ok(counts)
    }
}

/// How many policies there are (SPD info), those of sockets apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PolicyCounts {
    /// For packets to this host.
    pub inbound: u32,
    /// For packets that leave.
    pub outbound: u32,
    /// For packets that pass through.
    pub forward: u32,
    /// Of sockets, in the same order.
    pub of_sockets: [u32; 3],
}

impl PolicyCounts {
    pub(super) fn write(self, writer: &mut Writer) {
        writer.u32(u32::MAX);
        writer.attribute(XFRMA_SPD_INFO, |writer| {
            for count in [self.inbound, self.outbound, self.forward].iter().chain(&self.of_sockets)
            {
                writer.u32(*count);
            }
        });
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        reader.skip(4)?;
        let mut counts = Self::default();
        for (kind, mut value) in reader.attributes()? {
            if kind == XFRMA_SPD_INFO {
                counts.inbound = value.u32()?;
                counts.outbound = value.u32()?;
                counts.forward = value.u32()?;
                counts.of_sockets = [value.u32()?, value.u32()?, value.u32()?];
            }
        }
        Ok(counts)
    }
}
