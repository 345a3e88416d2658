//! The same thing written by Sluice and by `ip` is shown by `ip` in the same words, and read by Sluice as the same.

use std::net::IpAddr;

use sluice_kernel::Ipsec as _;
use sluice_kernel::linux::Ipsec;
use sluice_kernel::xfrm::{
    Action, Addresses, Algorithms, Authentication, Cipher, DefaultAction, Defaults, Direction,
    Encapsulation, Filter, Key, Limits, Mark, Mode, Policy, PolicyDirection, PolicyUse, Ports,
    Replay, ReplayEsn, Selector, State, StateFlags, Suite, Template, Templates, Usage,
};
use sluice_vm_tests::command;

use crate::{ends, hexadecimal, in_namespace, key, state};

/// What `ip` shows, without the times.
fn shown(what: &str) -> String {
    let text = command(&format!("ip -details -statistics xfrm {what}")).ok();
    let is_time = |line: &&str| {
        line.trim_start().starts_with("add 20") || line.trim_start().starts_with("lastused")
    };
    let lines = text.lines().filter(|line| !is_time(line));
    // The kernel numbers policies one after the other.
    let lines = lines.map(|line| line.split(" index ").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// A state and what `ip xfrm state add` makes it of.
fn states() -> Vec<(State, String)> {
    let (v4, v6) = (("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:1::2"));
    let plain = |suite: Suite, (source, destination): (&str, &str), spi: u32| {
        let key = hexadecimal(&key(suite));
        let (of, name) = (state(source, destination, spi, suite), suite.kernel_name());
        let words = format!(
            "src {source} dst {destination} proto esp spi {spi} reqid 0x51 mode tunnel aead {name} 0x{key} 128"
        );
        (of, words)
    };
    let with = |(of, words): (State, String), change: fn(State) -> State, more: &str| {
        (change(of), format!("{words} {more}"))
    };
    let gcm = |spi| plain(Suite::AesGcm128, v4, spi);
    let mut states: Vec<_> = Suite::ALL.into_iter().map(|suite| plain(suite, v4, 0x101)).collect();
    states.extend(Suite::ALL.into_iter().map(|suite| plain(suite, v6, 0x102)));
    states.push(with(gcm(0x103), |of| State { if_id: Some(9), ..of }, "if_id 9"));
    let mark = |of| State { mark: Some(Mark { value: 5, mask: 0xff }), ..of };
    states.push(with(gcm(0x104), mark, "mark 5 mask 0xff"));
    let output_mark = |of| State { output_mark: Some(Mark { value: 6, mask: 0xf }), ..of };
    states.push(with(gcm(0x105), output_mark, "output-mark 6 mask 0xf"));
    let udp = |of| State { encapsulation: Some(Encapsulation::udp(4500, 4501)), ..of };
    states.push(with(gcm(0x106), udp, "encap espinudp 4500 4501 0.0.0.0"));
    let esn = |of| State {
        flags: StateFlags::ESN,
        replay: Some(Replay::Esn(ReplayEsn::inbound(128).unwrap())),
        direction: Some(Direction::In),
        ..of
    };
    states.push(with(gcm(0x107), esn, "flag esn replay-window 128 dir in"));
    let outbound = |of| State { direction: Some(Direction::Out), ..of };
    states.push(with(gcm(0x108), outbound, "dir out"));
    let limits = |of| {
        let limits = Limits {
            soft_bytes: Some(1000),
            hard_bytes: Some(2000),
            soft_packets: Some(30),
            hard_packets: Some(40),
            soft_seconds: Some(500),
            hard_seconds: Some(600),
            soft_use_seconds: Some(70),
            hard_use_seconds: Some(80),
        };
        State { limits, ..of }
    };
    let words = "limit byte-soft 1000 limit byte-hard 2000 limit packet-soft 30 limit packet-hard 40 \
                 limit time-soft 500 limit time-hard 600 limit time-use-soft 70 limit time-use-hard 80";
    states.push(with(gcm(0x109), limits, words));
    let transport = |of| {
        let addresses = Addresses::V4 {
            source: ([192, 0, 2, 1].into(), 32),
            destination: ([198, 51, 100, 2].into(), 32),
        };
        let selector = Selector {
            protocol: 6,
            destination_ports: Ports { port: 443, mask: 0xffff },
            ..Selector::of(addresses)
        };
        State { mode: Mode::Transport, selector, ..of }
    };
    let (of, words) = with(gcm(0x10a), transport, "");
    let words = words.replace("mode tunnel", "mode transport");
    states.push((of, format!("{words} sel src 192.0.2.1 dst 198.51.100.2 proto 6 dport 443")));
    let (of, _) = gcm(0x10b);
    let sha = Authentication::new("hmac(sha256)", Key::new(&[7; 32]).unwrap(), 128);
    let aes = Cipher::new("cbc(aes)", Key::new(&[8; 16]).unwrap());
    let apart = Algorithms::Apart { cipher: Some(aes), authentication: Some(sha) };
    let words = format!(
        "src 192.0.2.1 dst 198.51.100.2 proto esp spi 0x10b reqid 0x51 mode tunnel \
         auth-trunc hmac(sha256) 0x{} 128 enc cbc(aes) 0x{}",
        "07".repeat(32),
        "08".repeat(16)
    );
    states.push((State { algorithms: apart, ..of }, words));
    states
}

/// Without what the kernel adds: the times, and the family of a selector for everything.
fn plain(state: &State) -> State {
    let mut state = State { usage: Usage::default(), last_used: None, ..state.clone() };
    if matches!(state.selector.addresses, Addresses::V4 { source, destination }
        if source.1 == 0 && destination.1 == 0)
        || matches!(state.selector.addresses, Addresses::V6 { source, destination }
            if source.1 == 0 && destination.1 == 0)
    {
        state.selector.addresses = Addresses::Unspecified;
    }
    state
}

#[test]
fn states_are_as_ip_writes_and_shows_them() {
    in_namespace(|| {
        let mut ipsec = Ipsec::open().unwrap();
        for (wanted, words) in states() {
            let installed = ipsec.add_state(&wanted).unwrap_or_else(|error| panic!("{error}"));
            let ours = shown("state");
            assert!(ipsec.delete_state(&wanted.id()).unwrap());
            let _ = command(&format!("ip xfrm state add {words}")).ok();
            assert_eq!(ours, shown("state"), "{words}");
            let theirs = ipsec.state(&wanted.id()).unwrap().expect("it was added");
            assert_eq!(plain(&installed.shown), plain(&theirs), "{words}");
            let listed = ipsec.states(&Filter::default()).unwrap();
            assert_eq!(listed.len(), 1, "{words}");
            assert_eq!(plain(&listed[0]), plain(&theirs), "{words}");
            assert!(ipsec.delete_state(&wanted.id()).unwrap());
            assert!(!ipsec.delete_state(&wanted.id()).unwrap(), "it is gone");
            assert_eq!(ipsec.state(&wanted.id()).unwrap(), None);
        }
    });
}

#[test]
fn states_are_listed_by_their_addresses() {
    in_namespace(|| {
        let mut ipsec = Ipsec::open().unwrap();
        for (spi, destination) in [(0x101, "198.51.100.2"), (0x102, "203.0.113.9")] {
            ipsec.add_state(&state("192.0.2.1", destination, spi, Suite::AesGcm128)).unwrap();
        }
        ipsec.add_state(&state("2001:db8::1", "2001:db8::2", 0x103, Suite::AesGcm256)).unwrap();
        let addresses = Addresses::V4 {
            source: ([192, 0, 2, 0].into(), 24),
            destination: ([203, 0, 113, 0].into(), 24),
        };
        let listed = ipsec.states(&Filter { protocol: Some(50), addresses }).unwrap();
        let spis: Vec<_> = listed.iter().map(|state| state.spi).collect();
        assert_eq!(spis, [0x102]);
        assert_eq!(ipsec.counts().unwrap().0.states, 3);
        let again = ipsec.add_state(&listed[0]).unwrap_err().to_string();
        assert!(again.contains("0x00000102 to 203.0.113.9") && again.contains("EEXIST"), "{again}");
    });
}

fn policies() -> Vec<(Policy, String)> {
    let addresses = Addresses::V4 {
        source: ([10, 1, 0, 0].into(), 16),
        destination: ([10, 2, 3, 0].into(), 24),
    };
    let v4 = Selector::of(addresses);
    let mut policies = Vec::new();
    for (direction, word) in [
        (PolicyDirection::In, "in"),
        (PolicyDirection::Out, "out"),
        (PolicyDirection::Forward, "fwd"),
    ] {
        let block = Policy { priority: 7, ..Policy::new(v4, direction, Action::Block) };
        let words = format!("src 10.1.0.0/16 dst 10.2.3.0/24 dir {word} action block priority 7");
        policies.push((block, words));
        let template = Template::tunnel(ends("192.0.2.1", "198.51.100.2"), 0x51);
        let templates = Templates::one(template);
        let allow = Policy {
            priority: 8,
            templates,
            if_id: Some(9),
            mark: Some(Mark { value: 5, mask: 0xff }),
            ..Policy::new(v4, direction, Action::Allow)
        };
        let words = format!(
            "src 10.1.0.0/16 dst 10.2.3.0/24 dir {word} mark 5 mask 0xff priority 8 if_id 9 \
             tmpl src 192.0.2.1 dst 198.51.100.2 proto esp reqid 0x51 mode tunnel"
        );
        policies.push((allow, words));
    }
    let template = Template::tunnel(ends("2001:db8::1", "2001:db8::2"), 0x52);
    let all = Policy {
        priority: 9,
        templates: Templates::one(Template { optional: true, ..template }),
        ..Policy::new(Selector::of(Addresses::ALL_V6), PolicyDirection::In, Action::Allow)
    };
    let words = "src ::/0 dst ::/0 dir in priority 9 \
                 tmpl src 2001:db8::1 dst 2001:db8::2 proto esp reqid 0x52 mode tunnel level use";
    policies.push((all, words.to_owned()));
    policies
}

#[test]
fn policies_are_as_ip_writes_and_shows_them() {
    in_namespace(|| {
        let mut ipsec = Ipsec::open().unwrap();
        for (wanted, words) in policies() {
            let installed = ipsec.set_policy(&wanted).unwrap_or_else(|error| panic!("{error}"));
            let ours = shown("policy");
            assert!(ipsec.delete_policy(&wanted.id()).unwrap());
            let _ = command(&format!("ip xfrm policy add {words}")).ok();
            assert_eq!(ours, shown("policy"), "{words}");
            let listed = ipsec.policies().unwrap();
            let plain = |policy: &Policy| Policy { used: PolicyUse::default(), ..policy.clone() };
            assert_eq!(listed.len(), 1, "{words}");
            assert_eq!(plain(&listed[0]), plain(&installed.shown), "{words}");
            assert_eq!(plain(&listed[0]), wanted, "{words}");
            assert!(ipsec.delete_policy(&wanted.id()).unwrap());
            assert!(!ipsec.delete_policy(&wanted.id()).unwrap(), "it is gone");
        }
    });
}

#[test]
fn default_policies_are_as_ip_shows_them() {
    in_namespace(|| {
        let mut ipsec = Ipsec::open().unwrap();
        assert_eq!(ipsec.defaults().unwrap(), Defaults::ACCEPT);
        let wanted = Defaults {
            inbound: DefaultAction::Block,
            forward: DefaultAction::Unchanged,
            outbound: DefaultAction::Block,
        };
        let now = ipsec.set_defaults(wanted).unwrap();
        assert_eq!(now, Defaults { forward: DefaultAction::Accept, ..wanted });
        let text = command("ip xfrm policy getdefault").ok();
        let words: Vec<_> = text.split_whitespace().collect();
        assert_eq!(words.join(" "), "Default policies: in: block fwd: accept out: block");
        let _ = command("ip xfrm policy setdefault in accept fwd block out accept").ok();
        let theirs = ipsec.defaults().unwrap();
        assert_eq!(theirs.forward, DefaultAction::Block);
        assert_eq!(theirs.inbound, DefaultAction::Accept);
    });
}

#[test]
fn a_state_for_one_processor_is_read_back_where_the_kernel_has_them() {
    in_namespace(|| {
        let mut ipsec = Ipsec::open().unwrap();
        let wanted = State {
            cpu: Some(0),
            direction: Some(Direction::Out),
            ..state("192.0.2.1", "198.51.100.2", 0x101, Suite::AesGcm128)
        };
        let installed = ipsec.add_state(&wanted).unwrap();
        let text = command("ip xfrm state").ok();
        assert_eq!(installed.shown.cpu, Some(0), "{text}");
        let address: IpAddr = [198, 51, 100, 2].into();
        assert_eq!(installed.shown.ends.destination(), address);
    });
}
