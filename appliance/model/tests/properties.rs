//! Whatever is written, the parser answers; whatever it accepts, it reads again as the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sluice_model::*;

/// All texts of `tests/bad`, and of `tests/good` as many.
static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let folder = |folder| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        let mut paths: Vec<_> =
            folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension != "txt"));
        paths.sort();
        paths.into_iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<Vec<_>>()
    };
    let mut texts = folder("tests/bad");
    let good = folder("tests/good");
    texts.extend(good.into_iter().cycle().take(texts.len()).collect::<Vec<_>>());
    texts
});

/// What YAML gives a meaning to, and what configurations are made of.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    ":", ": ", "- ", "?", "? ", "{", "}", "[", "]", ",", "&a ", "*a", "!!str ", "!", "|\n",
    ">-\n", "\"", "'", "\n", "\r\n", "  ", "\t", "---\n", "...\n", "#", " #", "%", "@", "`", "~",
    "null", "true", "0x10", "0o7", "1e3", ".inf", "-1", "99999999999999999999", "\u{feff}", "é",
    "\u{0}", "\u{7f}", "\\", "\\u0041", "<<: ", "spec", "kind: Service\n", "::", "/", "any", "5m",
    "hex:00",
];

#[derive(Clone, Debug)]
enum Mutation {
    Insert(Index, &'static str),
    Delete(Index, usize),
    Replace(Index, char),
    Repeat(Index, usize),
    SwapLines(Index, Index),
    DropLine(Index),
    /// Another digit in place of one: the text stays well formed.
    Digit(Index, u8),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        1 => (any::<Index>(), select(PIECES)).prop_map(|(at, piece)| Mutation::Insert(at, piece)),
        1 => (any::<Index>(), 1..12_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        1 => (any::<Index>(), any::<char>()).prop_map(|(at, with)| Mutation::Replace(at, with)),
        1 => (any::<Index>(), 1..60_usize).prop_map(|(at, length)| Mutation::Repeat(at, length)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Mutation::SwapLines(a, b)),
        1 => any::<Index>().prop_map(Mutation::DropLine),
        4 => (any::<Index>(), b'0'..=b'9').prop_map(|(at, digit)| Mutation::Digit(at, digit)),
    ]
}

fn mutate(text: String, mutation: Mutation) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    let count = chars.len();
    match mutation {
        Mutation::Insert(at, piece) => {
            let at = at.index(count + 1);
            chars.splice(at..at, piece.chars());
        }
        Mutation::Delete(at, length) => {
            let at = at.index(count + 1);
            chars.drain(at..(at + length).min(count));
        }
        Mutation::Replace(at, with) => {
            if count > 0 {
                chars[at.index(count)] = with;
            }
        }
        Mutation::Repeat(at, length) => {
            let at = at.index(count + 1);
            let end = (at + length).min(count);
            let part = chars[at..end].to_vec();
            chars.splice(end..end, part);
        }
        Mutation::Digit(at, digit) => {
            let digits: Vec<_> = (0..count).filter(|&at| chars[at].is_ascii_digit()).collect();
            if !digits.is_empty() {
                chars[digits[at.index(digits.len())]] = digit.into();
            }
        }
        Mutation::SwapLines(a, b) => {
            let mut lines: Vec<&str> = text.split('\n').collect();
            let (a, b) = (a.index(lines.len()), b.index(lines.len()));
            lines.swap(a, b);
            return lines.join("\n");
        }
        Mutation::DropLine(at) => {
            let mut lines: Vec<&str> = text.split('\n').collect();
            lines.remove(at.index(lines.len()));
            return lines.join("\n");
        }
    }
    chars.into_iter().collect()
}

/// Written and read again, an object is the same, in each form and by each reader.
fn assert_round_trip(object: &Object) {
    let yaml = serde_saphyr::to_string(object).unwrap();
    let json = serde_json::to_string(object).unwrap();
    for text in [&yaml, &json] {
        let again = parse("again", text).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
        assert_eq!(again.len(), 1, "{text}");
        assert_eq!(&again[0].object, object, "{text}");
    }
    assert_eq!(&serde_json::from_str::<Object>(&json).unwrap(), object);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_text_is_answered_and_what_is_accepted_is_the_same_when_read_again(
        which in any::<Index>(),
        mutations in vec(mutation(), 1..5),
    ) {
        let text = mutations.into_iter().fold(TEXTS[which.index(TEXTS.len())].clone(), mutate);
        match parse("mutated", &text) {
            Ok(parsed) => {
                for Parsed { object, location } in &parsed {
                    assert_round_trip(object);
                    prop_assert!(location.start().line >= 1);
                }
                let sourced = parsed.into_iter().map(|parsed| (parsed, Source::Api));
                // Valid or not: an answer, and problems with a place.
                if let Err(problems) = Objects::from_parsed(sourced).and_then(|objects| validate(&objects)) {
                    prop_assert!(problems.iter().all(|problem| problem.line() > Some(0)), "{:#?}", problems);
                }
            }
            Err(problems) => {
                prop_assert!(!problems.is_empty());
                prop_assert!(problems.iter().all(|problem| problem.line() > Some(0)), "{:#?}", problems);
                prop_assert!(problems.iter().all(|problem| !problem.message.is_empty()));
            }
        }
    }

    #[test]
    fn arbitrary_text_is_answered(text in any::<String>()) {
        if let Err(problems) = parse("arbitrary", &text) {
            prop_assert!(!problems.is_empty());
        }
    }
}

fn name() -> impl Strategy<Value = Name> {
    // Some of these are numbers, booleans or nothing to YAML.
    let words = select(&["null", "true", "no", "0", "12", "1e3", "0x10", "inf", "nan", "y"][..]);
    prop_oneof!["[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?", words.prop_map(str::to_owned)]
        .prop_map(|text| Name::new(text).unwrap())
}

fn port() -> impl Strategy<Value = Port> {
    (1..=u16::MAX).prop_map(|number| Port::new(number).unwrap())
}

fn port_range() -> impl Strategy<Value = PortRange> {
    (port(), port()).prop_filter_map("one port", |(a, b)| PortRange::new(a.min(b), a.max(b)).ok())
}

fn port_spec() -> impl Strategy<Value = PortSpec> {
    prop_oneof![
        port().prop_map(PortSpec::One),
        port_range().prop_map(PortSpec::Range),
        Just(PortSpec::Any)
    ]
}

fn prefix() -> impl Strategy<Value = Prefix> {
    (any::<IpAddr>(), 0..=128_u8).prop_map(|(address, length)| {
        let most = if address.is_ipv4() { 32 } else { 128 };
        ipnet::IpNet::new(address, length.min(most)).unwrap().into()
    })
}

fn time_span() -> impl Strategy<Value = TimeSpan> {
    prop_oneof![any::<u64>(), 0..100_000_u64].prop_map(TimeSpan::from_millis)
}

fn weight() -> impl Strategy<Value = Weight> {
    (0..=1000_i64).prop_map(|number| Weight::try_from(number).unwrap())
}

fn probe_bytes() -> impl Strategy<Value = ProbeBytes> {
    prop_oneof![
        vec(any::<u8>(), 0..40),
        any::<String>().prop_map(String::into_bytes),
        Just(b"hex:00".to_vec())
    ]
    .prop_map(ProbeBytes::new)
}

fn status_pattern() -> impl Strategy<Value = StatusPattern> {
    prop_oneof![
        (100..600_u16).prop_map(StatusPattern::Code),
        (1..6_u8).prop_map(StatusPattern::Class)
    ]
}

fn backend() -> impl Strategy<Value = Backend> {
    let state = select(&[BackendState::Active, BackendState::Drain, BackendState::Disabled][..]);
    (any::<IpAddr>(), proptest::option::of(port()), weight(), state)
        .prop_map(|(address, port, weight, state)| Backend { address, port, weight, state })
}

fn health() -> impl Strategy<Value = Health> {
    use proptest::option::of;
    let check = select(
        &[HealthType::None, HealthType::Tcp, HealthType::Http, HealthType::Https, HealthType::Udp]
            [..],
    );
    let times = (check, of(port()), time_span(), time_span(), any::<u16>(), any::<u16>());
    let http = (
        of(any::<String>()),
        of(any::<String>()),
        of(vec(status_pattern(), 0..4)),
        of(any::<String>()),
    );
    let rest = (of(any::<bool>()), of(any::<String>()), of(probe_bytes()), of(probe_bytes()));
    (times, http, rest).prop_map(|(times, http, rest)| {
        let (check, port, interval, timeout, rise, fall) = times;
        let (path, host, expect_status, expect_body) = http;
        let (tls_verify, server_name, send, expect) = rest;
        Health {
            check,
            port,
            interval,
            timeout,
            rise,
            fall,
            path,
            host,
            expect_status,
            expect_body,
            tls_verify,
            server_name,
            send,
            expect,
        }
    })
}

fn service() -> impl Strategy<Value = Object> {
    let labels = btree_map(any::<String>(), any::<String>(), 0..4);
    let metadata = (name(), labels, proptest::option::of(any::<String>()))
        .prop_map(|(name, labels, resource_version)| Metadata { name, labels, resource_version });
    let protocol = select(&[Protocol::Tcp, Protocol::Udp][..]);
    let mode = select(&[DeliveryMode::Dsr, DeliveryMode::Nat][..]);
    let affinity = select(&[Affinity::None, Affinity::Source][..]);
    let no_backend = select(&[NoBackend::Refuse, NoBackend::KeepAll][..]);
    let first =
        (any::<IpAddr>(), protocol, port_spec(), mode, proptest::option::of(name()), affinity);
    let second =
        (vec(prefix(), 0..4), no_backend, time_span(), time_span(), vec(backend(), 0..4), health());
    (metadata, first, second).prop_map(|(metadata, first, second)| {
        let (address, protocol, port, mode, nat_pool, affinity) = first;
        let (allowed_sources, no_backend, drain_timeout, idle_timeout, backends, health) = second;
        let spec = ServiceSpec {
            address,
            protocol,
            port,
            mode,
            nat_pool,
            affinity,
            allowed_sources,
            no_backend,
            drain_timeout,
            idle_timeout,
            backends,
            health,
        };
        Object::Service(Service { metadata, spec })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_service_is_the_same_after_a_round_trip(service in service()) {
        assert_round_trip(&service);
    }

    #[test]
    fn every_value_is_read_as_it_is_written(
        span in time_span(), bytes in probe_bytes(), spec in port_spec(), prefix in prefix(), status in status_pattern(),
    ) {
        prop_assert_eq!(span.to_string().parse(), Ok(span));
        prop_assert_eq!(bytes.to_string().parse(), Ok(bytes));
        prop_assert_eq!(spec.to_string().parse(), Ok(spec));
        prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        prop_assert_eq!(status.to_string().parse(), Ok(status));
    }

    #[test]
    fn a_time_span_is_the_sum_of_its_parts(days in 0..1000_u64, hours in 0..1000_u64, seconds in 0..1000_u64) {
        let span: TimeSpan = format!("{days}d{hours}h{seconds}s").parse().unwrap();
        prop_assert_eq!(span.as_duration(), Duration::from_secs(days * 86_400 + hours * 3600 + seconds));
    }

    /// Against the naive rule: two services of one address meet if both have the same port, or any, or ranges with
    /// a port in common.
    #[test]
    fn ports_that_meet_are_found(specs in vec((0..3_u8, 1..40_u16, 1..6_u16), 1..12)) {
        let specs: Vec<PortSpec> = specs
            .into_iter()
            .map(|(shape, first, more)| match shape {
                0 => PortSpec::One(Port::new(first).unwrap()),
                1 => PortSpec::Any,
                _ => PortSpec::Range(PortRange::new(Port::new(first).unwrap(), Port::new(first + more).unwrap()).unwrap()),
            })
            .collect();
        let meet = |a: &PortSpec, b: &PortSpec| match (a, b) {
            (PortSpec::Range(a), PortSpec::Range(b)) => a.numbers().any(|port| b.numbers().contains(&port)),
            (a, b) => a == b,
        };
        let expected = specs.iter().enumerate().any(|(number, spec)| specs[..number].iter().any(|other| meet(spec, other)));
        let mut text = "{kind: Gateway, metadata: {name: g}, spec: {}}\n".to_owned();
        for (number, spec) in specs.iter().enumerate() {
            text += &format!("---\n{{kind: Service, metadata: {{name: s-{number}}}, spec: {{address: 192.0.2.10, \
                protocol: UDP, port: {spec}, mode: dsr}}}}\n");
        }
        let parsed = parse("x", &text).unwrap().into_iter().map(|parsed| (parsed, Source::Api));
        let found = validate(&Objects::from_parsed(parsed).unwrap());
        prop_assert_eq!(found.is_err(), expected, "{:?}", found);
    }
}
