use super::{
    Direction,
    constants::{XFRM_OFFLOAD_INBOUND, XFRM_OFFLOAD_PACKET},
    wire::{Read, Reader, Writer},
};
use std::fmt;

/// What a card does of IPsec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OffloadKind {
    /// The encryption; headers and policies are the host's.
    Crypto,
    /// Everything.
    Packet,
}

impl fmt::Display for OffloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crypto => "crypto offload",
            Self::Packet => "packet offload",
        })
    }
}

/// A state or a policy on a card: `struct xfrm_user_offload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// The card's link.
    pub ifindex: u32,
    /// What it does.
    pub kind: OffloadKind,
    /// The direction of a state; for a policy, whose own counts, that of its states.
    pub direction: Direction,
}

impl Offload {
    pub(super) fn write(self, writer: &mut Writer) {
        let inbound = if self.direction == Direction::In { XFRM_OFFLOAD_INBOUND } else { 0 };
        let packet = if self.kind == OffloadKind::Packet { XFRM_OFFLOAD_PACKET } else { 0 };
        writer.u32(self.ifindex);
        writer.bytes(&[inbound | packet, 0, 0, 0]);
    }

    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let (ifindex, flags) = (reader.u32()?, reader.u8()?);
        let kind = match flags & XFRM_OFFLOAD_PACKET {
            0 => OffloadKind::Crypto,
            _ => OffloadKind::Packet,
        };
        let direction = match flags & XFRM_OFFLOAD_INBOUND {
            0 => Direction::Out,
            _ => Direction::In,
        };
        Ok(Self { ifindex, kind, direction })
    }
}
