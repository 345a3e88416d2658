//! Packets between two network namespaces, encrypted with what Sluice installed.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use nix::sys::socket::{
    AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, socket,
};
use sluice_kernel::linux::Ipsec;
use sluice_kernel::xfrm::{
    Action, Addresses, DefaultAction, Defaults, Direction, Policy, PolicyDirection, Replay,
    ReplayEsn, Selector, State, StateFlags, Suite, Template, Templates,
};
use sluice_kernel::{Ipsec as _, Owner};
use sluice_netdevsim::{NetworkNamespace, within};
use sluice_vm_tests::{Said, command, in_guest};

use crate::{ends, state};

const NAMES: [&str; 2] = ["sluice-left", "sluice-right"];
const OUTER: [&str; 2] = ["192.0.2.1", "192.0.2.2"];
const INNER: [[u8; 4]; 2] = [[10, 1, 0, 1], [10, 2, 0, 1]];

/// Two hosts with a wire between them; each has an inner address behind its outer one.
struct Pair([NetworkNamespace; 2]);

impl Pair {
    fn new() -> Self {
        Self::remove();
        for name in NAMES {
            let _ = command(&format!("ip netns add {name}")).ok();
        }
        let [left, right] = NAMES;
        let _ = command(&format!(
            "ip link add wire netns {left} type veth peer name wire netns {right}"
        ))
        .ok();
        for side in 0..2 {
            let (name, far) = (NAMES[side], OUTER[1 - side]);
            let [own, other] = [side, 1 - side].map(|side| std::net::Ipv4Addr::from(INNER[side]));
            let ip = |words: &str| drop(command(&format!("ip -netns {name} {words}")).ok());
            ip("link set lo up");
            ip("link set wire up");
            ip(&format!("address add {}/24 dev wire", OUTER[side]));
            ip(&format!("address add {own}/32 dev lo"));
            ip(&format!("route add {other} via {far} src {own}"));
        }
        let open = |name| NetworkNamespace::open(&Path::new("/run/netns").join(name)).unwrap();
        Self(NAMES.map(open))
    }

    fn remove() {
        for name in NAMES {
            let _ = command(&format!("ip netns del {name}"));
        }
    }

    fn on<T: Send>(&self, side: usize, act: impl FnOnce(&mut Ipsec) -> T + Send) -> T {
        within(&self.0[side], || act(&mut Ipsec::open().unwrap())).unwrap()
    }

    /// Three echoes from the left inner address to the right one.
    fn ping(&self) -> Said {
        let target = std::net::Ipv4Addr::from(INNER[1]);
        within(&self.0[0], || command(&format!("busybox ping -c 3 -i 0.2 -W 2 -p a5 {target}")))
            .unwrap()
    }

    /// What a side sends while `act` runs, as it is on the wire. What arrives is not looked at: there the kernel shows what it
    /// decrypted too.
    fn sent(&self, side: usize, act: impl FnOnce()) -> Vec<Vec<u8>> {
        const OUTGOING: u8 = 4;
        let (family, flags) = (AddressFamily::Packet, SockFlag::SOCK_NONBLOCK);
        let open = || socket(family, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
        let tap = within(&self.0[side], open).unwrap();
        act();
        let mut frames = Vec::new();
        let mut frame = [0; 2048];
        while let Ok((length, Some(from))) = recvfrom::<LinkAddr>(tap.as_raw_fd(), &mut frame) {
            if from.pkttype() == OUTGOING {
                frames.push(frame[..length].to_vec());
            }
        }
        frames
    }

    /// The kernel's counters of errors that are not zero.
    fn errors(&self, side: usize) -> Vec<String> {
        let text = within(&self.0[side], || {
            std::fs::read_to_string("/proc/thread-self/net/xfrm_stat").unwrap()
        })
        .unwrap();
        text.lines().filter(|line| !line.ends_with("\t0")).map(str::to_owned).collect()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        Self::remove();
    }
}

/// The inner packets of a direction, seen from `from`.
fn selector(from: usize) -> Selector {
    let network = |side: usize| (INNER[side].into(), 32);
    Selector::of(Addresses::V4 { source: network(from), destination: network(1 - from) })
}

/// The state for packets from `from`, as both sides have it.
fn between(from: usize, suite: Suite) -> State {
    state(OUTER[from], OUTER[1 - from], 0x100 + from as u32, suite)
}

fn through(from: usize, direction: PolicyDirection) -> Policy {
    let template = Template::tunnel(ends(OUTER[from], OUTER[1 - from]), 0x51);
    Policy {
        priority: 10,
        templates: Templates::one(template),
        ..Policy::new(selector(from), direction, Action::Allow)
    }
}

fn install(pair: &Pair, change: impl Fn(State, Direction) -> State + Sync, suite: Suite) {
    for side in 0..2 {
        pair.on(side, |ipsec| {
            for (from, direction) in [(side, Direction::Out), (1 - side, Direction::In)] {
                let state = State { direction: Some(direction), ..between(from, suite) };
                ipsec.add_state(&change(state, direction)).unwrap();
            }
            ipsec.set_policy(&through(side, PolicyDirection::Out)).unwrap();
            ipsec.set_policy(&through(1 - side, PolicyDirection::In)).unwrap();
        });
    }
}

fn has_passed(said: &Said) -> bool {
    said.text.contains(" 0% packet loss")
}

#[test]
fn packets_pass_encrypted_with_every_suite_and_without_states_not_at_all() {
    if !in_guest() {
        return;
    }
    let pair = Pair::new();
    assert!(has_passed(&pair.ping()), "the way is there");
    for suite in Suite::ALL {
        install(&pair, |state, _| state, suite);
        let said = pair.ping();
        assert!(has_passed(&said), "{suite:?}: {}", said.text);
        for side in 0..2 {
            pair.on(side, |ipsec| {
                for from in 0..2 {
                    let state = ipsec.state(&between(from, suite).id()).unwrap().unwrap();
                    assert_eq!(state.usage.packets, 3, "{suite:?}");
                    assert_eq!(state.statistics, Default::default());
                }
                let sent = between(side, suite);
                let progress = ipsec.progress(&sent).unwrap().unwrap();
                assert_eq!(progress.replay.unwrap().sent(), 3);
                assert_eq!(progress.usage.unwrap().packets, 3);
                for from in 0..2 {
                    assert!(ipsec.delete_state(&between(from, suite).id()).unwrap());
                }
            });
            assert_eq!(pair.errors(side), Vec::<String>::new(), "{suite:?}");
        }
    }
    // The policies are still there, and nothing leaves without them.
    assert!(pair.ping().text.contains("100% packet loss"));
}

/// The protocol of a frame's IPv4 packet.
fn protocol(frame: &[u8]) -> Option<u8> {
    (frame.get(12..14) == Some(&[8, 0])).then(|| frame.get(23).copied()).flatten()
}

/// Whether an inner address or what the echoes carry is anywhere in an IPv4 packet. (ARP asks with an inner address before
/// anything is encrypted, which tells nothing of a packet.)
fn is_plain(frame: &[u8]) -> bool {
    let has = |part: &[u8]| frame.windows(part.len()).any(|window| window == part);
    protocol(frame).is_some() && (INNER.iter().any(|address| has(address)) || has(&[0xa5; 8]))
}

#[test]
fn the_wire_shows_no_inner_packet() {
    if !in_guest() {
        return;
    }
    let pair = Pair::new();
    let plain = pair.sent(0, || drop(pair.ping()));
    assert_eq!(plain.iter().filter(|frame| is_plain(frame)).count(), 3, "it would be seen");
    for suite in Suite::ALL {
        install(&pair, |state, _| state, suite);
        for side in 0..2 {
            let frames = pair.sent(side, || assert!(has_passed(&pair.ping())));
            let esp = frames.iter().filter(|frame| protocol(frame) == Some(50)).count();
            assert_eq!(esp, 3, "{suite:?}: {frames:02x?}");
            assert!(!frames.iter().any(|frame| is_plain(frame)), "{suite:?}: {frames:02x?}");
        }
        for side in 0..2 {
            pair.on(side, |ipsec| {
                for from in 0..2 {
                    assert!(ipsec.delete_state(&between(from, suite).id()).unwrap());
                }
            });
        }
        // Without states nothing leaves, and not in the clear either.
        let frames = pair.sent(0, || assert!(!has_passed(&pair.ping())));
        assert!(!frames.iter().any(|frame| is_plain(frame)), "{suite:?}: {frames:02x?}");
    }
}

#[test]
fn sequence_numbers_go_on_beyond_32_bits() {
    if !in_guest() {
        return;
    }
    let pair = Pair::new();
    let near = u64::from(u32::MAX) - 1;
    let change = |state: State, direction| {
        let replay = match direction {
            Direction::Out => ReplayEsn { sent: near, ..ReplayEsn::outbound() },
            Direction::In => ReplayEsn { received: near, ..ReplayEsn::inbound(64).unwrap() },
        };
        State { flags: StateFlags::ESN, replay: Some(Replay::Esn(replay)), ..state }
    };
    install(&pair, change, Suite::AesGcm256);
    let said = pair.ping();
    assert!(has_passed(&said), "{}", said.text);
    pair.on(0, |ipsec| {
        let progress = ipsec.progress(&between(0, Suite::AesGcm256)).unwrap().unwrap();
        assert_eq!(progress.replay.unwrap().sent(), near + 3);
        let progress = ipsec.progress(&between(1, Suite::AesGcm256)).unwrap().unwrap();
        assert_eq!(progress.replay.unwrap().received(), near + 3);
    });
    assert_eq!(pair.errors(1), Vec::<String>::new());
}

#[test]
fn blocking_policies_and_defaults_drop_what_is_not_encrypted() {
    if !in_guest() {
        return;
    }
    let pair = Pair::new();
    let everything =
        Addresses::V4 { source: ([10, 0, 0, 0].into(), 8), destination: ([10, 0, 0, 0].into(), 8) };
    let block = Policy {
        priority: 20,
        ..Policy::new(Selector::of(everything), PolicyDirection::Out, Action::Block)
    };
    pair.on(0, |ipsec| ipsec.set_policy(&block).unwrap());
    let said = pair.ping();
    assert!(!has_passed(&said), "{}", said.text);
    assert!(pair.errors(0).iter().any(|line| line.starts_with("XfrmOutPolBlock")));
    // A policy for encrypted packets comes before it.
    install(&pair, |state, _| state, Suite::AesGcm128);
    let said = pair.ping();
    assert!(has_passed(&said), "{}", said.text);
    // What no policy matches: the inbound default of the right side.
    let pair = Pair::new();
    let wanted = Defaults { inbound: DefaultAction::Block, ..Defaults::ACCEPT };
    pair.on(1, |ipsec| ipsec.set_defaults(wanted).unwrap());
    assert!(!has_passed(&pair.ping()));
    pair.on(1, |ipsec| ipsec.set_defaults(Defaults::ACCEPT).unwrap());
    assert!(has_passed(&pair.ping()));
}

#[test]
fn flushing_an_interface_leaves_the_others() {
    if !in_guest() {
        return;
    }
    let pair = Pair::new();
    pair.on(0, |ipsec| {
        for (spi, if_id) in [(0x201, 4), (0x202, 4), (0x203, 5)] {
            let state = state(OUTER[0], OUTER[1], spi, Suite::AesGcm128);
            ipsec.add_state(&State { if_id: Some(if_id), ..state }).unwrap();
            let policy = Policy { if_id: Some(if_id), ..through(0, PolicyDirection::Out) };
            ipsec.set_policy(&policy).unwrap();
        }
        let flushed = <dyn sluice_kernel::Ipsec>::flush(ipsec, Owner::Interface(4)).unwrap();
        assert_eq!((flushed.states, flushed.policies), (2, 1));
        let (states, policies) = ipsec.counts().unwrap();
        assert_eq!((states.states, policies.outbound), (1, 1));
    });
}
