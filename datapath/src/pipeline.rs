//! The order of the stages, in several programs.
//!
//! The *fast* program takes what nearly all packets are: untagged, whole, TCP or UDP, without IPv6 extension
//! headers, of a flow that needs no new port and no answer of our own. Everything else it leaves, untouched, to
//! the *full* program of the packet's family, which begins from the start and can do all, or to those for
//! *ICMP* and for later *fragments*.
//! So the fast program stays small in cache and for the verifier, and the others have a stack of their own.

use crate::{
    Defer, Mode, Outcome, Packet, Tables,
    abi::{Class, Features, Reason},
    packet::wire::protocol,
    stages::{
        self, Flow, Fragmented,
        parse::{self, Frame, Network},
        prefilter, service,
    },
};

/// What a program found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The packet is done.
    Done(Outcome),
    /// The packet is done, and the event program shall tell user space.
    Event(Outcome),
    /// This program must look at it.
    Program(Program),
}

/// The programs behind the fast one; the number is the index in the table of programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Program {
    Full4 = 0,
    Full6 = 1,
    Nat4 = 2,
    Nat6 = 3,
    Icmp4 = 4,
    Icmp6 = 5,
    IcmpNat4 = 6,
    IcmpNat6 = 7,
    Fragment4 = 8,
    Fragment6 = 9,
    FragmentNat4 = 10,
    FragmentNat6 = 11,
    TooBig4 = 12,
    TooBig6 = 13,
    Open4 = 14,
    Open6 = 15,
    Event = 16,
}

impl Program {
    /// All of them, in order, with the names of their entry points.
    pub const ALL: [(Self, &str); 17] = [
        (Self::Full4, "sluice_full4"),
        (Self::Full6, "sluice_full6"),
        (Self::Nat4, "sluice_nat4"),
        (Self::Nat6, "sluice_nat6"),
        (Self::Icmp4, "sluice_icmp4"),
        (Self::Icmp6, "sluice_icmp6"),
        (Self::IcmpNat4, "sluice_icmpnat4"),
        (Self::IcmpNat6, "sluice_icmpnat6"),
        (Self::Fragment4, "sluice_frag4"),
        (Self::Fragment6, "sluice_frag6"),
        (Self::FragmentNat4, "sluice_fragnat4"),
        (Self::FragmentNat6, "sluice_fragnat6"),
        (Self::TooBig4, "sluice_toobig4"),
        (Self::TooBig6, "sluice_toobig6"),
        (Self::Open4, "sluice_open4"),
        (Self::Open6, "sluice_open6"),
        (Self::Event, "sluice_event"),
    ];

    /// Whether a packet can come to this program where these features are configured. The others need not be loaded:
    /// what leads to them asks the same of the features.
    pub const fn is_reachable(self, features: Features) -> bool {
        let is_6 = match self {
            Self::Full4
            | Self::Nat4
            | Self::Icmp4
            | Self::IcmpNat4
            | Self::Fragment4
            | Self::FragmentNat4
            | Self::TooBig4
            | Self::Open4
            | Self::Event => false,
            Self::Full6
            | Self::Nat6
            | Self::Icmp6
            | Self::IcmpNat6
            | Self::Fragment6
            | Self::FragmentNat6
            | Self::TooBig6
            | Self::Open6 => true,
        };
        if is_6 && !features.has(Features::IPV6) {
            return false;
        }
        match self {
            Self::Full4 | Self::Full6 => true,
            Self::Icmp4
            | Self::Icmp6
            | Self::Fragment4
            | Self::Fragment6
            | Self::TooBig4
            | Self::TooBig6 => features.has(Features::SERVICE),
            Self::Nat4
            | Self::Nat6
            | Self::IcmpNat4
            | Self::IcmpNat6
            | Self::FragmentNat4
            | Self::FragmentNat6
            | Self::Open4
            | Self::Open6 => features.has(Features::SERVICE) && features.has(Features::NAT),
            Self::Event => features.has(Features::EVENTS),
        }
    }

    #[inline(always)]
    const fn full(v6: bool) -> Self {
        if v6 { Self::Full6 } else { Self::Full4 }
    }

    #[inline(always)]
    const fn nat(v6: bool) -> Self {
        if v6 { Self::Nat6 } else { Self::Nat4 }
    }

    #[inline(always)]
    const fn icmp(v6: bool) -> Self {
        if v6 { Self::Icmp6 } else { Self::Icmp4 }
    }

    #[inline(always)]
    const fn icmp_nat(v6: bool) -> Self {
        if v6 { Self::IcmpNat6 } else { Self::IcmpNat4 }
    }

    #[inline(always)]
    const fn fragment(v6: bool) -> Self {
        if v6 { Self::Fragment6 } else { Self::Fragment4 }
    }

    #[inline(always)]
    const fn fragment_nat(v6: bool) -> Self {
        if v6 { Self::FragmentNat6 } else { Self::FragmentNat4 }
    }

    #[inline(always)]
    const fn open(v6: bool) -> Self {
        if v6 { Self::Open6 } else { Self::Open4 }
    }

    #[inline(always)]
    const fn too_big(v6: bool) -> Self {
        if v6 { Self::TooBig6 } else { Self::TooBig4 }
    }
}

/// Takes one packet through all stages and counts what became of it: natively what the programs do one after
/// the other.
pub fn run<P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Outcome {
    let mut next = fast(packet, tables);
    loop {
        next = match next {
            Next::Done(outcome) => return outcome,
            Next::Event(outcome) => {
                event(packet, tables);
                return outcome;
            }
            Next::Program(program) => match program {
                Program::Full4 => full::<false, P, T>(packet, tables),
                Program::Full6 => full::<true, P, T>(packet, tables),
                Program::Nat4 => nat::<false, P, T>(packet, tables),
                Program::Nat6 => nat::<true, P, T>(packet, tables),
                Program::Icmp4 => icmp::<false, P, T>(packet, tables),
                Program::Icmp6 => icmp::<true, P, T>(packet, tables),
                Program::IcmpNat4 => icmp_nat::<false, P, T>(packet, tables),
                Program::IcmpNat6 => icmp_nat::<true, P, T>(packet, tables),
                Program::Fragment4 => fragment::<false, P, T>(packet, tables),
                Program::Fragment6 => fragment::<true, P, T>(packet, tables),
                Program::FragmentNat4 => fragment_nat::<false, P, T>(packet, tables),
                Program::FragmentNat6 => fragment_nat::<true, P, T>(packet, tables),
                Program::TooBig4 => too_big::<false, P, T>(packet, tables),
                Program::TooBig6 => too_big::<true, P, T>(packet, tables),
                Program::Open4 => open::<false, P, T>(packet, tables),
                Program::Open6 => open::<true, P, T>(packet, tables),
                Program::Event => return Outcome::end(Reason::DropInternal),
            },
        };
    }
}

/// The fast program.
#[inline(always)]
pub fn fast<P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let bytes = packet.len();
    match parse::untagged(packet) {
        Some(Network::Ipv4) => fast_network::<false, P, T>(packet, bytes, tables),
        Some(Network::Ipv6) if tables.settings().features.has(Features::IPV6) => {
            fast_network::<true, P, T>(packet, bytes, tables)
        }
        _ => match parse::frame(packet, tables) {
            Ok(frame) => Next::Program(Program::full(frame.network == Network::Ipv6)),
            Err(reason) => end(Outcome::end(reason), bytes, tables),
        },
    }
}

#[inline(always)]
fn fast_network<const V6: bool, P: Packet, T: Tables>(
    packet: &mut P,
    bytes: usize,
    tables: &T,
) -> Next {
    let mut flow = Flow::default();
    let parsed = parse_network::<V6, false, P>(packet, Frame::UNTAGGED, &mut flow);
    if parsed.is_err() || !is_fast::<V6>(&flow) {
        return Next::Program(Program::full(V6));
    }
    let outcome = if denied::<V6, T>(&flow, tables) {
        Outcome::end(Reason::DropDenied)
    } else if !tables.settings().features.has(Features::SERVICE) {
        Outcome::end(Reason::PassUnconfigured)
    } else if stages::is_sampled::<V6, T>(&flow, tables) {
        Outcome::defer(Defer::Full)
    } else {
        service::run::<V6, { Mode::FAST }, P, T>(packet, &flow, tables)
    };
    conclude::<V6, T>(outcome, Program::nat(V6), bytes, tables)
}

/// The full program of one family, for packets that [`fast`] left to it.
#[inline(always)]
pub fn full<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let bytes = packet.len();
    let mut flow = Flow::default();
    if let Err(reason) = parse_full::<V6, P, T>(packet, &mut flow, tables) {
        return end(Outcome::end(reason), bytes, tables);
    }
    // Without services these are nothing but packets.
    if tables.settings().features.has(Features::SERVICE) {
        if flow.fragmented == Fragmented::Later {
            return Next::Program(Program::fragment(V6));
        }
        if is_icmp::<V6>(&flow) {
            return Next::Program(Program::icmp(V6));
        }
    }
    let outcome = service::<V6, { Mode::TUNNEL }, P, T>(packet, &flow, tables);
    begin::<V6, T>(&outcome, &flow, bytes, tables);
    conclude::<V6, T>(outcome, Program::nat(V6), bytes, tables)
}

/// [`full`] for what needs translation.
#[inline(always)]
pub fn nat<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let bytes = packet.len();
    let mut flow = Flow::default();
    if let Err(reason) = parse_full::<V6, P, T>(packet, &mut flow, tables) {
        return end(Outcome::end(reason), bytes, tables);
    }
    let outcome = service::<V6, { Mode::NAT }, P, T>(packet, &flow, tables);
    begin::<V6, T>(&outcome, &flow, bytes, tables);
    conclude::<V6, T>(outcome, Program::nat(V6), bytes, tables)
}

/// The beginning of a translated flow; [`nat`] delivers its packet.
#[inline(always)]
pub fn open<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = service::run::<V6, { Mode::OPEN }, P, T>;
    special::<V6, false, P, T>(packet, tables, Program::nat(V6), stage)
}

#[inline(always)]
fn service<const V6: bool, const MODE: u8, P: Packet, T: Tables>(
    packet: &mut P,
    flow: &Flow,
    tables: &T,
) -> Outcome {
    // The fast program has asked the prefilter for every packet that it could parse, the full one for the rest
    // of those that need translation.
    let asked = MODE == Mode::NAT || (flow.l3 == Frame::UNTAGGED.l3 && is_fast::<V6>(flow));
    if !asked && denied::<V6, T>(flow, tables) {
        Outcome::end(Reason::DropDenied)
    } else if !tables.settings().features.has(Features::SERVICE) {
        Outcome::end(Reason::PassUnconfigured)
    } else if service::has_ports(flow.protocol) {
        service::run::<V6, MODE, P, T>(packet, flow, tables)
    } else {
        Outcome::end(Reason::PassProtocol)
    }
}

/// The event of a flow that begins.
#[inline(always)]
fn begin<const V6: bool, T: Tables>(outcome: &Outcome, flow: &Flow, bytes: usize, tables: &T) {
    if outcome.deferred().is_none()
        && outcome.reason.class() == Class::Sent
        && stages::is_sampled::<V6, T>(flow, tables)
    {
        let family = if V6 { 6 } else { 4 };
        stages::began(tables, outcome, flow, (family, bytes as u32));
    }
}

/// The ICMP program of one family, for packets that [`full`] left to it.
#[inline(always)]
pub fn icmp<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = stages::icmp_error::<V6, { Mode::TUNNEL }, P, T>;
    special::<V6, true, P, T>(packet, tables, Program::icmp_nat(V6), stage)
}

/// [`icmp`] for what needs translation.
#[inline(always)]
pub fn icmp_nat<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = stages::icmp_error::<V6, { Mode::NAT }, P, T>;
    special::<V6, false, P, T>(packet, tables, Program::icmp_nat(V6), stage)
}

/// The program for later fragments of one family, for packets that [`full`] left to it.
#[inline(always)]
pub fn fragment<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = stages::later_fragment::<V6, { Mode::TUNNEL }, P, T>;
    special::<V6, true, P, T>(packet, tables, Program::fragment_nat(V6), stage)
}

/// [`fragment()`] for what needs translation.
#[inline(always)]
pub fn fragment_nat<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = stages::later_fragment::<V6, { Mode::NAT }, P, T>;
    special::<V6, false, P, T>(packet, tables, Program::fragment_nat(V6), stage)
}

/// Answers a packet that is too big for the way to its backend.
#[inline(always)]
pub fn too_big<const V6: bool, P: Packet, T: Tables>(packet: &mut P, tables: &T) -> Next {
    let stage = stages::answer_too_big::<V6, P, T>;
    special::<V6, false, P, T>(packet, tables, Program::too_big(V6), stage)
}

#[inline(always)]
fn special<const V6: bool, const FILTER: bool, P: Packet, T: Tables>(
    packet: &mut P,
    tables: &T,
    nat: Program,
    stage: impl FnOnce(&mut P, &Flow, &T) -> Outcome,
) -> Next {
    let bytes = packet.len();
    let mut flow = Flow::default();
    if let Err(reason) = parse_full::<V6, P, T>(packet, &mut flow, tables) {
        return end(Outcome::end(reason), bytes, tables);
    }
    let outcome = if FILTER && denied::<V6, T>(&flow, tables) {
        Outcome::end(Reason::DropDenied)
    } else if !tables.settings().features.has(Features::SERVICE) {
        Outcome::end(Reason::PassUnconfigured)
    } else {
        stage(packet, &flow, tables)
    };
    conclude::<V6, T>(outcome, nat, bytes, tables)
}

/// The event program: tells user space of a drop.
#[inline(always)]
pub fn event<P: Packet, T: Tables>(packet: &P, tables: &T) {
    let mut flow = Flow::default();
    let mut family = 0;
    // What can't be parsed stays zero: the reason says how far the packet is to be trusted.
    match parse::frame(packet, tables) {
        Ok(Frame { network: Network::Ipv4, .. }) => {
            family = 4;
            let _ = parse_full::<false, P, T>(packet, &mut flow, tables);
        }
        Ok(Frame { network: Network::Ipv6, .. }) => {
            family = 6;
            let _ = parse_full::<true, P, T>(packet, &mut flow, tables);
        }
        Err(_) => {}
    }
    stages::dropped(tables, &flow, family, packet.len() as u32);
}

/// Goes on to another program, or ends. `nat`: the program for what needs translation.
#[inline(always)]
fn conclude<const V6: bool, T: Tables>(
    outcome: Outcome,
    nat: Program,
    bytes: usize,
    tables: &T,
) -> Next {
    let translates = tables.settings().features.has(Features::NAT);
    match outcome.deferred() {
        Some(Defer::Full) => Next::Program(Program::full(V6)),
        // What is left of translations that are configured no more comes no further than here.
        Some(Defer::Nat | Defer::Open) if !translates => {
            end(Outcome::end(Reason::DropInternal), bytes, tables)
        }
        Some(Defer::Nat) => Next::Program(nat),
        Some(Defer::Open) => Next::Program(Program::open(V6)),
        Some(Defer::TooBig) => Next::Program(Program::too_big(V6)),
        None => end(outcome, bytes, tables),
    }
}

/// Counts the outcome; a drop may go on to the event program.
#[inline(always)]
fn end<T: Tables>(outcome: Outcome, bytes: usize, tables: &T) -> Next {
    if stages::account(&outcome, bytes, tables) {
        Next::Event(outcome)
    } else {
        Next::Done(outcome)
    }
}

/// Parses with tags and extension headers. The offsets differ from packet to packet: the verifier shall not
/// follow each of them through all that comes.
#[inline(always)]
fn parse_full<const V6: bool, P: Packet, T: Tables>(
    packet: &P,
    flow: &mut Flow,
    tables: &T,
) -> Result<(), Reason> {
    let frame = parse::frame(packet, tables)?;
    let l3 = tables.forget(frame.l3);
    parse_network::<V6, true, P>(packet, Frame { l3, ..frame }, flow)?;
    flow.l4 = tables.forget(flow.l4);
    Ok(())
}

#[inline(always)]
pub(crate) fn parse_network<const V6: bool, const FULL: bool, P: Packet>(
    packet: &P,
    frame: Frame,
    flow: &mut Flow,
) -> Result<(), Reason> {
    if V6 { parse::ipv6::<FULL, P>(packet, frame, flow) } else { parse::ipv4(packet, frame, flow) }
}

/// Whether the fast program takes an untagged packet.
#[inline(always)]
pub(crate) fn is_fast<const V6: bool>(flow: &Flow) -> bool {
    flow.fragmented == Fragmented::Whole
        && service::has_ports(flow.protocol)
        && (!V6 || flow.l4 == flow.l3 + parse::IPV6_HEADER)
}

#[inline(always)]
fn is_icmp<const V6: bool>(flow: &Flow) -> bool {
    flow.protocol == if V6 { protocol::ICMPV6 } else { protocol::ICMP }
}

#[inline(always)]
fn denied<const V6: bool, T: Tables>(flow: &Flow, tables: &T) -> bool {
    let feature = if V6 { Features::PREFILTER6 } else { Features::PREFILTER4 };
    tables.settings().features.has(feature) && prefilter::denies::<V6, T>(&flow.source, tables)
}
