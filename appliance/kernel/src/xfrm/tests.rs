//! The codec as a whole: what is written is read again, what is broken is refused, and the bytes stand where the kernel looks
//! for them.

use super::*;
use netlink_packet_core::{NLM_F_DUMP, NetlinkDeserializable, NetlinkMessage, NetlinkPayload};
use proptest::{collection::vec, option::of, prelude::*};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

fn flags(message: &Message) -> u16 {
    let is_dump = matches!(message, Message::DumpStates(_) | Message::DumpPolicies);
    if is_dump { NLM_F_DUMP } else { 0 }
}

fn read(message: &Message, bytes: &[u8]) -> Result<Message, Malformed> {
    Message::from_bytes(message.kind(), flags(message), bytes)
}

fn prefix<A: std::fmt::Debug>(
    address: impl Strategy<Value = A>,
    bits: u8,
) -> impl Strategy<Value = (A, u8)> {
    (address, 0..=bits)
}

fn addresses() -> impl Strategy<Value = Addresses> {
    let v4 = || prefix(any::<Ipv4Addr>(), 32);
    let v6 = || prefix(any::<Ipv6Addr>(), 128);
    prop_oneof![
        Just(Addresses::Unspecified),
        (v4(), v4()).prop_map(|(source, destination)| Addresses::V4 { source, destination }),
        (v6(), v6()).prop_map(|(source, destination)| Addresses::V6 { source, destination }),
    ]
}

prop_compose! {
    fn selector()(
        addresses in addresses(),
        ports in any::<[u16; 4]>(),
        protocol: u8, ifindex: i32, user: u32,
    ) -> Selector {
        Selector {
            addresses,
            source_ports: Ports { port: ports[0], mask: ports[1] },
            destination_ports: Ports { port: ports[2], mask: ports[3] },
            protocol, ifindex, user,
        }
    }
}

fn ends() -> impl Strategy<Value = Ends> {
    prop_oneof![
        any::<(Ipv4Addr, Ipv4Addr)>()
            .prop_map(|(source, destination)| Ends::V4 { source, destination }),
        any::<(Ipv6Addr, Ipv6Addr)>()
            .prop_map(|(source, destination)| Ends::V6 { source, destination }),
    ]
}

prop_compose! {
    fn limits()(
        counts in proptest::array::uniform4(of(0..u64::MAX)),
        times in proptest::array::uniform4(of(1..=u64::MAX)),
    ) -> Limits {
        Limits {
            soft_bytes: counts[0], hard_bytes: counts[1],
            soft_packets: counts[2], hard_packets: counts[3],
            soft_seconds: times[0], hard_seconds: times[1],
            soft_use_seconds: times[2], hard_use_seconds: times[3],
        }
    }
}

prop_compose! {
    fn usage()(bytes: u64, packets: u64, added: u64, first_used: u64) -> Usage {
        Usage { bytes, packets, added, first_used }
    }
}

fn key() -> impl Strategy<Value = Key> {
    vec(any::<u8>(), 0..80).prop_map(|bytes| Key::new(&bytes).unwrap())
}

fn algorithms() -> impl Strategy<Value = Algorithms> {
    let name = "[a-z0-9(),]{0,63}";
    let aead = (name, key(), any::<u32>())
        .prop_map(|(name, key, tag)| Algorithms::Aead(Aead::new(&name, key, tag)));
    let cipher = (name, key()).prop_map(|(name, key)| Cipher::new(&name, key));
    let authentication = (name, key(), any::<u32>())
        .prop_map(|(name, key, tag)| Authentication::new(&name, key, tag));
    let apart = (of(cipher), of(authentication))
        .prop_map(|(cipher, authentication)| Algorithms::Apart { cipher, authentication });
    prop_oneof![aead, apart]
}

fn replay() -> impl Strategy<Value = Replay> {
    let legacy = any::<[u32; 3]>().prop_map(|[sent, received, bitmap]| {
        Replay::Legacy(ReplayLegacy { sent, received, bitmap })
    });
    let esn = (any::<(u64, u64, u32)>(), vec(any::<u32>(), 0..=128));
    let esn = esn.prop_map(|((sent, received, window), words)| {
        Replay::Esn(ReplayEsn { sent, received, window, bitmap: Bitmap::new(words).unwrap() })
    });
    prop_oneof![legacy, esn]
}

fn direction() -> impl Strategy<Value = Direction> {
    prop_oneof![Just(Direction::In), Just(Direction::Out)]
}

fn offload() -> impl Strategy<Value = Offload> {
    let kind = prop_oneof![Just(OffloadKind::Crypto), Just(OffloadKind::Packet)];
    (any::<u32>(), kind, direction()).prop_map(|(ifindex, kind, direction)| Offload {
        ifindex,
        kind,
        direction,
    })
}

fn mark() -> impl Strategy<Value = Mark> {
    any::<(u32, u32)>().prop_map(|(value, mask)| Mark { value, mask })
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![Just(Mode::Transport), Just(Mode::Tunnel), Just(Mode::Beet), Just(Mode::Iptfs)]
}

prop_compose! {
    fn encapsulation()(kind: u16, source_port: u16, destination_port: u16) -> Encapsulation {
        Encapsulation { kind, source_port, destination_port, original: None }
    }
}

prop_compose! {
    fn state()(
        (ends, spi, protocol, selector) in (ends(), any::<u32>(), any::<u8>(), selector()),
        (limits, usage, statistics) in (limits(), usage(), any::<[u32; 3]>()),
        (sequence, request_id, mode, replay_window) in (any::<u32>(), any::<u32>(), mode(), any::<u8>()),
        (flags, extra_flags, algorithms) in (any::<u8>(), any::<u32>(), algorithms()),
        (encapsulation, original) in (of(encapsulation()), 1u32..),
        (mark, output_mark, replay, offload) in (of(mark()), of(mark()), of(replay()), of(offload())),
        (if_id, direction, cpu, last_used) in
            (of(any::<u32>()), of(direction()), of(any::<u32>()), of(any::<u64>())),
    ) -> State {
        let original = match ends.family() {
            Family::V4 => IpAddr::V4(original.into()),
            Family::V6 => IpAddr::V6(u128::from(original).into()),
        };
        State {
            protocol, selector, limits, usage,
            statistics: Statistics {
                outside_window: statistics[0],
                replayed: statistics[1],
                not_authentic: statistics[2],
            },
            sequence, request_id, mode, replay_window,
            flags: StateFlags(flags),
            extra_flags,
            encapsulation: encapsulation.map(|it| Encapsulation {
                original: Some(original).filter(|_| it.kind % 2 == 0),
                ..it
            }),
            mark, output_mark, replay, offload, if_id, direction, cpu, last_used,
            ..State::tunnel(ends, spi, algorithms)
        }
    }
}

fn template() -> impl Strategy<Value = Template> {
    (ends(), any::<(u32, u8, u32)>(), mode(), any::<bool>()).prop_map(
        |(ends, (spi, protocol, request_id), mode, optional)| Template {
            ends,
            spi,
            protocol,
            request_id,
            mode,
            optional,
        },
    )
}

prop_compose! {
    fn policy()(
        (selector, direction) in (selector(), 0..3usize),
        (priority, flags, blocks) in any::<(u32, u8, bool)>(),
        (limits, usage, index) in (limits(), usage(), any::<u32>()),
        (templates, mark, if_id) in (vec(template(), 0..=6), of(mark()), of(any::<u32>())),
        (offload, last_used) in (of(offload()), of(any::<u64>())),
    ) -> Policy {
        let direction = PolicyDirection::ALL[direction];
        let inbound = direction != PolicyDirection::Out;
        let action = if blocks { Action::Block } else { Action::Allow };
        Policy {
            priority, flags, limits, mark, if_id,
            used: PolicyUse { usage, index, last_used },
            templates: Templates::new(templates).unwrap(),
            offload: offload.map(|offload| Offload {
                direction: if inbound { Direction::In } else { Direction::Out },
                ..offload
            }),
            ..Policy::new(selector, direction, action)
        }
    }
}

fn state_id() -> impl Strategy<Value = StateId> {
    state().prop_map(|state| state.id())
}

fn association() -> impl Strategy<Value = AssociationEvent> {
    (state_id(), any::<(u128, u32, u32)>(), of(replay()), of(usage()), any::<[Option<u32>; 3]>())
        .prop_map(|(id, (source, cause, request_id), replay, usage, [one, two, if_id])| {
            let source = match id.destination {
                IpAddr::V4(_) => IpAddr::V4((source as u32).into()),
                IpAddr::V6(_) => IpAddr::V6(source.into()),
            };
            AssociationEvent {
                cause: EventCause(cause),
                request_id,
                replay,
                usage,
                replay_threshold: one,
                timer_threshold: two,
                if_id,
                ..AssociationEvent::question(id, source)
            }
        })
}

fn acquire() -> impl Strategy<Value = Acquire> {
    (template(), any::<(u8, u32)>(), selector(), policy(), of(any::<u32>())).prop_map(
        |(template, (protocol, sequence), selector, policy, cpu)| {
            let (ends, templates) = (template.ends, Templates::one(template));
            let policy = Policy { templates, ..policy };
            Acquire { ends, protocol, selector, policy, sequence, cpu }
        },
    )
}

fn defaults() -> impl Strategy<Value = Defaults> {
    let action = || {
        prop_oneof![
            Just(DefaultAction::Unchanged),
            Just(DefaultAction::Block),
            Just(DefaultAction::Accept)
        ]
    };
    (action(), action(), action()).prop_map(|(inbound, forward, outbound)| Defaults {
        inbound,
        forward,
        outbound,
    })
}

fn message() -> impl Strategy<Value = Message> {
    let filter = (of(any::<u8>()), addresses());
    let told = || (state(), any::<bool>());
    prop_oneof![
        8 => state().prop_map(Message::NewState),
        1 => state().prop_map(Message::UpdateState),
        1 => state_id().prop_map(Message::DeleteState),
        1 => state_id().prop_map(Message::GetState),
        1 => filter.prop_map(|(protocol, addresses)| {
            Message::DumpStates(Filter { protocol, addresses })
        }),
        1 => any::<u8>().prop_map(Message::FlushStates),
        4 => policy().prop_map(Message::NewPolicy),
        1 => policy().prop_map(Message::UpdatePolicy),
        1 => policy().prop_map(|policy| Message::DeletePolicy(policy.id())),
        1 => policy().prop_map(|policy| Message::GetPolicy(policy.id())),
        1 => prop_oneof![
            Just(Message::DumpPolicies), Just(Message::FlushPolicies), Just(Message::GetDefaults),
            Just(Message::GetStateCounts), Just(Message::GetPolicyCounts),
        ],
        1 => defaults().prop_map(Message::SetDefaults),
        1 => any::<[u32; 3]>().prop_map(|[states, buckets, max_buckets]| {
            Message::StateCounts(StateCounts { states, buckets, max_buckets })
        }),
        1 => any::<([u32; 3], [u32; 3])>().prop_map(|([inbound, outbound, forward], of_sockets)| {
            Message::PolicyCounts(PolicyCounts { inbound, outbound, forward, of_sockets })
        }),
        2 => association().prop_map(Message::Association),
        1 => association().prop_map(Message::GetAssociation),
        2 => told().prop_map(|(state, hard)| Message::Expired(Expired { state, hard })),
        1 => (policy(), any::<bool>()).prop_map(|(policy, hard)| {
            Message::PolicyExpired(PolicyExpired { policy, hard })
        }),
        2 => acquire().prop_map(Message::Acquire),
    ]
}

/// Where the attributes of a message begin; what is cut before is a message that lacks something.
fn fixed_part(message: &Message) -> usize {
    match message {
        Message::NewState(_) | Message::UpdateState(_) => 224,
        Message::DeleteState(_) | Message::GetState(_) => 24,
        Message::NewPolicy(_) | Message::UpdatePolicy(_) => 168,
        Message::DeletePolicy(_) | Message::GetPolicy(_) => 64,
        Message::DumpStates(_) | Message::DumpPolicies | Message::FlushPolicies => 0,
        Message::FlushStates(_) => 1,
        Message::SetDefaults(_) | Message::GetDefaults => 3,
        Message::StateCounts(_) | Message::PolicyCounts(_) => 4,
        Message::GetStateCounts | Message::GetPolicyCounts => 4,
        Message::Association(_) | Message::GetAssociation(_) => 48,
        Message::Expired(_) => 232,
        Message::PolicyExpired(_) => 176,
        Message::Acquire(_) => 280,
    }
}

proptest! {
    #[test]
    fn every_message_is_read_as_it_was_written(message in message()) {
        prop_assert_eq!(&read(&message, &message.to_bytes()).unwrap(), &message);
        // The same through the library that frames messages.
        let mut framed = NetlinkMessage::from(message.clone());
        framed.header.flags = flags(&message);
        framed.finalize();
        let mut bytes = vec![0; framed.buffer_len()];
        framed.serialize(&mut bytes);
        let again = NetlinkMessage::<Message>::deserialize(&bytes).unwrap();
        prop_assert_eq!(again.payload, NetlinkPayload::InnerMessage(message));
    }

    #[test]
    fn a_message_that_is_cut_is_refused_or_lacks_whole_attributes(message in message(), at: prop::sample::Index) {
        let bytes = message.to_bytes();
        if bytes.is_empty() {
            return Ok(());
        }
        let length = at.index(bytes.len());
        let cut = read(&message, &bytes[..length]);
        if length < fixed_part(&message) {
            prop_assert!(cut.is_err(), "{} of {} bytes: {:?}", length, bytes.len(), cut);
        } else if let Ok(cut) = cut {
            // Cut between two attributes, or in the padding of the last.
            let rest = cut.to_bytes();
            let start = fixed_part(&message);
            prop_assert!(rest.len() <= bytes.len() && rest[..start] == bytes[..start]);
        }
    }

    #[test]
    fn bytes_that_lie_are_never_a_panic(
        message in message(), at: prop::sample::Index, changed in vec(any::<u8>(), 1..9), kind in 0x10u16..0x2a,
    ) {
        let mut bytes = message.to_bytes();
        let start = if bytes.is_empty() { 0 } else { at.index(bytes.len()) };
        for (to, from) in bytes.iter_mut().skip(start).zip(&changed) {
            *to ^= *from;
        }
        // Whatever is still read can be written, and is then read as the same.
        if let Ok(read_anyhow) = read(&message, &bytes) {
            let again = read(&read_anyhow, &read_anyhow.to_bytes());
            prop_assert_eq!(again.unwrap(), read_anyhow);
        }
        let _ = Message::from_bytes(kind, 0, &bytes);
        let _ = Message::from_bytes(kind, NLM_F_DUMP, &changed);
    }
}

fn example() -> State {
    let ends = Ends::new([192, 0, 2, 1].into(), [198, 51, 100, 2].into()).unwrap();
    let key = Key::new(&[0x5a; 20]).unwrap();
    let aead = Aead::of(Suite::AesGcm128, key).unwrap();
    State {
        request_id: 0x51,
        replay: Some(Replay::Esn(ReplayEsn::inbound(64).unwrap())),
        flags: StateFlags::ESN,
        offload: Some(Offload { ifindex: 7, kind: OffloadKind::Packet, direction: Direction::In }),
        if_id: Some(9),
        direction: Some(Direction::In),
        ..State::tunnel(ends, 0x0102_0304, Algorithms::Aead(aead))
    }
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

/// Offsets as a C compiler gives them for the structures of the header on a 64-bit machine.
#[test]
fn the_bytes_of_a_state_stand_where_the_kernel_looks() {
    let bytes = Message::NewState(example()).to_bytes();
    assert!(bytes[..56].iter().all(|byte| *byte == 0), "a selector for everything");
    assert_eq!(bytes[56..60], [198, 51, 100, 2]);
    assert_eq!(bytes[60..72], [0; 12]);
    assert_eq!(bytes[72..80], [1, 2, 3, 4, 50, 0, 0, 0]);
    assert_eq!(bytes[80..84], [192, 0, 2, 1]);
    assert_eq!(bytes[96..128], [0xff; 32], "bytes and packets without end");
    assert_eq!(bytes[128..160], [0; 32], "no times");
    assert_eq!(bytes[208..212], 0x51u32.to_ne_bytes());
    assert_eq!(bytes[212..214], 2u16.to_ne_bytes());
    assert_eq!(bytes[214..217], [1, 0, 128]);
    assert_eq!(bytes[217..224], [0; 7]);
    let mut aead = [0; 64].to_vec();
    aead[..17].copy_from_slice(b"rfc4106(gcm(aes))");
    aead.extend(words(&[160, 128]));
    aead.extend([0x5a; 20]);
    let expected = [
        attribute(18, &aead),
        attribute(23, &words(&[2, 0, 0, 0, 0, 64, 0, 0])),
        attribute(28, &[&words(&[7])[..], &[2 | 4, 0, 0, 0]].concat()),
        attribute(31, &words(&[9])),
        attribute(33, &[1]),
    ];
    assert_eq!(bytes[224..], expected.concat());
}

#[test]
fn the_bytes_of_a_policy_stand_where_the_kernel_looks() {
    let addresses = Addresses::V4 {
        source: ([10, 1, 0, 0].into(), 16),
        destination: ([10, 2, 0, 0].into(), 24),
    };
    let ends = Ends::new([192, 0, 2, 1].into(), [198, 51, 100, 2].into()).unwrap();
    let policy = Policy {
        priority: 0x0a0b,
        templates: Templates::one(Template::tunnel(ends, 0x51)),
        if_id: Some(9),
        ..Policy::new(Selector::of(addresses), PolicyDirection::Forward, Action::Block)
    };
    let bytes = Message::NewPolicy(policy.clone()).to_bytes();
    assert_eq!(bytes[..4], [10, 2, 0, 0]);
    assert_eq!(bytes[16..20], [10, 1, 0, 0]);
    assert_eq!(bytes[40..42], 2u16.to_ne_bytes());
    assert_eq!(bytes[42..45], [24, 16, 0]);
    assert_eq!(bytes[152..156], 0x0a0bu32.to_ne_bytes());
    assert_eq!(bytes[160..164], [2, 1, 0, 0]);
    let mut template = vec![198, 51, 100, 2];
    template.resize(20, 0);
    template.extend([50, 0, 0, 0]);
    template.extend(2u16.to_ne_bytes());
    template.extend([0, 0, 192, 0, 2, 1]);
    template.resize(44, 0);
    template.extend(words(&[0x51]));
    template.extend([1, 0, 0, 0]);
    template.extend([0xff; 12]);
    assert_eq!(bytes[168..], [attribute(5, &template), attribute(31, &words(&[9]))].concat());
    let id = Message::DeletePolicy(policy.id()).to_bytes();
    assert_eq!((id[60], id.len()), (2, 64 + 8));
}

#[test]
fn what_is_not_known_is_skipped_and_what_cannot_be_is_refused() {
    let mut bytes = Message::NewState(example()).to_bytes().to_vec();
    bytes.extend(attribute(40, b"of a newer kernel"));
    assert_eq!(Message::from_bytes(0x10, 0, &bytes), Ok(Message::NewState(example())));
    bytes.extend(attribute(33, &[3]));
    assert_eq!(Message::from_bytes(0x10, 0, &bytes), Err(Malformed::Value("the direction")));
    assert_eq!(Message::from_bytes(0x7f, 0, &[]), Err(Malformed::Type(0x7f)));
    bytes[214] = 9;
    assert_eq!(Message::from_bytes(0x10, 0, &bytes), Err(Malformed::Value("the mode")));
    bytes[212] = 3;
    assert_eq!(Message::from_bytes(0x10, 0, &bytes), Err(Malformed::Value("the address family")));
}

#[test]
fn a_message_with_a_key_does_not_print_it() {
    let aead = Aead::of(Suite::AesGcm128, Key::new(&[0xfe; 20]).unwrap()).unwrap();
    let message = Message::NewState(State { algorithms: Algorithms::Aead(aead), ..example() });
    let printed = format!("{message:?} {message:#?}");
    assert!(printed.contains("rfc4106(gcm(aes))") && printed.contains("Key(160 bits)"));
    assert!(!printed.contains("254") && !printed.contains("fefe"), "{printed}");
}

#[test]
fn too_much_of_anything_is_refused() {
    let ends = Ends::new([192, 0, 2, 1].into(), [198, 51, 100, 2].into()).unwrap();
    let seven = vec![Template::tunnel(ends, 1); 7];
    assert_eq!(Templates::new(seven), Err(TooManyTemplates(7)));
    assert_eq!(Ends::new([192, 0, 2, 1].into(), Ipv6Addr::LOCALHOST.into()), None);
    let refused = Message::deserialize(&Default::default(), &[]);
    assert_eq!(refused, Err(Malformed::Type(0)));
}
