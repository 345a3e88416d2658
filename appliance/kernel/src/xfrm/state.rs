use super::{
    Algorithms, ESP, Encapsulation, Ends, Limits, Offload, Replay, Selector, Usage,
    attributes::StateAttributes,
    constants::{USERSA_INFO, XFRM_STATE_ESN},
    ends::{Family, address, read_address, write_address},
    wire::{Malformed, Read, Reader, Writer},
};
use std::net::IpAddr;

/// Which state: how the kernel looks it up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateId {
    /// Who decrypts.
    pub destination: IpAddr,
    /// Security parameter index.
    pub spi: u32,
    /// Protocol, mostly [`ESP`].
    pub protocol: u8,
    /// The state's mark, where it has one.
    pub mark: Option<Mark>,
}

impl StateId {
    /// `struct xfrm_usersa_id`.
    pub(super) fn write(&self, writer: &mut Writer) {
        write_address(writer, self.destination);
        writer.be32(self.spi);
        writer.u16(Family::of(self.destination) as u16);
        writer.bytes(&[self.protocol, 0]);
    }

    /// The mark is in an attribute.
    pub(super) fn read(reader: &mut Reader<'_>) -> Read<Self> {
        let bytes = read_address(reader)?;
        let spi = reader.be32()?;
        let family = Family::read(reader.u16()?)?;
        let protocol = reader.u8()?;
        reader.skip(1)?;
        Ok(Self { destination: address(family, bytes), spi, protocol, mark: None })
    }
}

/// A value in some bits of a packet's mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mark {
    /// The value.
    pub value: u32,
    /// The bits that count.
    pub mask: u32,
}

/// Which packets a state is for. Given since Linux 6.10, it lets the kernel refuse what makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// Those that arrive.
    In = 1,
    /// Those that leave.
    Out = 2,
}

/// What is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// What follows the IP header.
    Transport = 0,
    /// The whole packet, behind a new IP header.
    Tunnel = 1,
    /// As tunnel on the hosts and transport on the wire.
    Beet = 4,
    /// Packets in a stream of equal ones (RFC 9347, since Linux 6.14).
    Iptfs = 5,
}

impl Mode {
    pub(super) fn read(number: u8) -> Read<Self> {
        match number {
            0 => Ok(Self::Transport),
            1 => Ok(Self::Tunnel),
            4 => Ok(Self::Beet),
            5 => Ok(Self::Iptfs),
            _ => Err(Malformed::Value("the mode")),
        }
    }
}

/// `XFRM_STATE_*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct StateFlags(pub u8);

impl StateFlags {
    /// 64-bit sequence numbers (RFC 4304).
    pub const ESN: Self = Self(XFRM_STATE_ESN);
    /// The selector may have another family than the state: IPv4 in IPv6 and the other way round.
    pub const AF_UNSPEC: Self = Self(32);

    /// Whether these flags are set.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Packets that did not pass: `struct xfrm_stats`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Older than the window.
    pub outside_window: u32,
    /// Had arrived before.
    pub replayed: u32,
    /// Failed the authentication.
    pub not_authentic: u32,
}

/// A security association.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The outer addresses.
    pub ends: Ends,
    /// Security parameter index.
    pub spi: u32,
    /// Protocol, mostly [`ESP`].
    pub protocol: u8,
    /// Which inner packets it takes.
    pub selector: Selector,
    /// When it is told of and ends.
    pub limits: Limits,
    /// What it has seen, when it is read.
    pub usage: Usage,
    /// What did not pass, when it is read.
    pub statistics: Statistics,
    /// The number of the acquire that it answers; 0 is none.
    pub sequence: u32,
    /// What templates find it by.
    pub request_id: u32,
    /// What is encrypted.
    pub mode: Mode,
    /// The replay window for [`super::ReplayLegacy`], at most 32.
    pub replay_window: u8,
    /// Flags.
    pub flags: StateFlags,
    /// `XFRM_SA_XFLAG_*`.
    pub extra_flags: u32,
    /// How it encrypts.
    pub algorithms: Algorithms,
    /// ESP in UDP.
    pub encapsulation: Option<Encapsulation>,
    /// Which packets find it.
    pub mark: Option<Mark>,
    /// What its packets are marked with; the mask says which bits.
    pub output_mark: Option<Mark>,
    /// Sequence numbers.
    pub replay: Option<Replay>,
    /// Where it is offloaded to: asked for in a request, actual when it is read.
    pub offload: Option<Offload>,
    /// The xfrm interface.
    pub if_id: Option<u32>,
    /// Its direction.
    pub direction: Option<Direction>,
    /// The only processor that it is for.
    pub cpu: Option<u32>,
    /// When it was used last, seconds since 1970, when it is read.
    pub last_used: Option<u64>,
}

impl State {
    /// An ESP state in tunnel mode that takes every packet and never ends.
    pub fn tunnel(ends: Ends, spi: u32, algorithms: Algorithms) -> Self {
        Self {
            ends,
            spi,
            protocol: ESP,
            selector: Selector::default(),
            limits: Limits::default(),
            usage: Usage::default(),
            statistics: Statistics::default(),
            sequence: 0,
            request_id: 0,
            mode: Mode::Tunnel,
            replay_window: 0,
            flags: StateFlags::default(),
            extra_flags: 0,
            algorithms,
            encapsulation: None,
            mark: None,
            output_mark: None,
            replay: None,
            offload: None,
            if_id: None,
            direction: None,
            cpu: None,
            last_used: None,
        }
    }

    /// How the kernel looks it up.
    pub fn id(&self) -> StateId {
        StateId {
            destination: self.ends.destination(),
            spi: self.spi,
            protocol: self.protocol,
            mark: self.mark,
        }
    }

    /// `struct xfrm_usersa_info`.
    pub(super) fn write_info(&self, writer: &mut Writer) {
        let start = writer.len();
        self.selector.write(writer);
        write_address(writer, self.ends.destination());
        writer.be32(self.spi);
        writer.bytes(&[self.protocol, 0, 0, 0]);
        write_address(writer, self.ends.source());
        self.limits.write(writer);
        self.usage.write(writer);
        let Statistics { outside_window, replayed, not_authentic } = self.statistics;
        for value in [outside_window, replayed, not_authentic, self.sequence, self.request_id] {
            writer.u32(value);
        }
        writer.u16(self.ends.family() as u16);
        writer.bytes(&[self.mode as u8, self.replay_window, self.flags.0]);
        writer.pad_to(start + USERSA_INFO);
    }

    /// All that [`State::read_info`] leaves out.
    pub(super) fn write_attributes(&self, writer: &mut Writer) {
        StateAttributes::write(self, writer);
    }

    pub(super) fn read_info(reader: &mut Reader<'_>) -> Read<Self> {
        let mut reader = reader.part(USERSA_INFO, "the state")?;
        let selector = Selector::read(&mut reader)?;
        let destination = read_address(&mut reader)?;
        let (spi, protocol) = (reader.be32()?, reader.u8()?);
        reader.skip(3)?;
        let source = read_address(&mut reader)?;
        let (limits, usage) = (Limits::read(&mut reader)?, Usage::read(&mut reader)?);
        let statistics = Statistics {
            outside_window: reader.u32()?,
            replayed: reader.u32()?,
            not_authentic: reader.u32()?,
        };
        let (sequence, request_id) = (reader.u32()?, reader.u32()?);
        let ends = Ends::of(Family::read(reader.u16()?)?, source, destination);
        let mode = Mode::read(reader.u8()?)?;
        let (replay_window, flags) = (reader.u8()?, StateFlags(reader.u8()?));
        Ok(Self {
            protocol,
            selector,
            limits,
            usage,
            statistics,
            sequence,
            request_id,
            mode,
            replay_window,
            flags,
            ..Self::tunnel(ends, spi, Algorithms::NONE)
        })
    }

    /// A state with its attributes.
    pub(super) fn read(mut reader: Reader<'_>) -> Read<Self> {
        let state = Self::read_info(&mut reader)?;
        state.with_attributes(reader)
    }

    pub(super) fn with_attributes(self, reader: Reader<'_>) -> Read<Self> {
        StateAttributes::read(self, reader)
    }
}
