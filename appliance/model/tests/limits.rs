//! The limits of a configuration: what is allowed passes, one more is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use sluice_model::{Name, Object, Objects, Source, limits, parse, validate};

/// A set with a gateway and these objects.
fn set(objects: impl IntoIterator<Item = Object>) -> Objects {
    let gateway =
        parse("g", "{kind: Gateway, metadata: {name: g}, spec: {}}").unwrap().remove(0).object;
    let mut set = Objects::new();
    for object in std::iter::once(gateway).chain(objects) {
        assert!(set.replace(object, Source::Api, None).is_none());
    }
    set
}

/// The messages about a set; empty when it is valid.
fn messages(set: &Objects) -> Vec<String> {
    validate(set).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn service(name: String, port: &str, backends: &[Ipv4Addr]) -> Object {
    let backends: Vec<_> =
        backends.iter().map(|address| format!("{{address: {address}}}")).collect();
    let text = format!(
        "{{kind: Service, metadata: {{name: {name}}}, spec: {{address: 192.0.2.10, protocol: TCP, port: {port}, \
         mode: dsr, backends: [{}]}}}}",
        backends.join(", ")
    );
    parse("s", &text).unwrap().remove(0).object
}

fn address(number: usize) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + u32::try_from(number).unwrap())
}

#[test]
fn services() {
    let all = |count: usize| {
        set((1..=count).map(|port| service(format!("s-{port:05}"), &port.to_string(), &[])))
    };
    assert_eq!(messages(&all(limits::SERVICES)), [""; 0]);
    assert_eq!(
        messages(&all(limits::SERVICES + 1)),
        ["Service/s-10001: kind: there are more than 10000 services"]
    );
}

#[test]
fn backends_of_one_service() {
    let one = |count: usize| {
        let backends: Vec<_> = (1..=count).map(address).collect();
        set([service("s".to_owned(), "80", &backends)])
    };
    assert_eq!(messages(&one(limits::BACKENDS_PER_SERVICE)), [""; 0]);
    assert_eq!(
        messages(&one(limits::BACKENDS_PER_SERVICE + 1)),
        ["Service/s: spec.backends: there are 4097, at most 4096 are allowed"]
    );
}

#[test]
fn backends_of_all_services() {
    let all = |last: usize| {
        let backends: Vec<_> = (1..=4000).map(address).collect();
        set((1..=25)
            .map(|port| service(format!("s-{port:02}"), &port.to_string(), &backends))
            .chain([service("t".to_owned(), "8080", &backends[..last])]))
    };
    assert_eq!(messages(&all(0)), [""; 0]);
    assert_eq!(
        messages(&all(1)),
        ["Service/t: spec.backends: with these there are more than 100000 backends in all"]
    );
}

#[test]
fn port_ranges_of_one_address() {
    let all = |count: usize| {
        set((0..count).map(|number| {
            service(
                format!("s-{number:04}"),
                &format!("{}-{}", 2 * number + 1, 2 * number + 2),
                &[],
            )
        }))
    };
    assert_eq!(messages(&all(limits::PORT_RANGES_PER_ADDRESS)), [""; 0]);
    assert_eq!(
        messages(&all(limits::PORT_RANGES_PER_ADDRESS + 1)),
        [
            "Service/s-4096: spec.port: 192.0.2.10 has 4097 services with a range of ports, at most 4096 are allowed"
        ]
    );
}

#[test]
fn allowed_sources() {
    let one = |count: usize| {
        let mut object = service("s".to_owned(), "80", &[]);
        if let Object::Service(service) = &mut object {
            service.spec.allowed_sources = (0..count)
                .map(|number| format!("{}/32", address(number)).parse().unwrap())
                .collect();
        }
        set([object])
    };
    assert_eq!(messages(&one(limits::ALLOWED_SOURCES_PER_SERVICE)), [""; 0]);
    assert_eq!(
        messages(&one(limits::ALLOWED_SOURCES_PER_SERVICE + 1)),
        ["Service/s: spec.allowedSources: there are 1025 prefixes, at most 1024 are allowed"]
    );
}

#[test]
fn labels() {
    let one = |count: usize| {
        let mut object = service("s".to_owned(), "80", &[]);
        object.metadata_mut().labels =
            (0..count).map(|number| (number.to_string(), String::new())).collect();
        set([object])
    };
    assert_eq!(messages(&one(limits::LABELS)), [""; 0]);
    assert_eq!(
        messages(&one(limits::LABELS + 1)),
        ["Service/s: metadata.labels: there are 65 labels, at most 64 are allowed"]
    );
}

#[test]
fn links() {
    let gateway = |count: usize| {
        let links: Vec<_> = (0..count).map(|number| format!("{{name: e{number}}}")).collect();
        let text = format!(
            "{{kind: Gateway, metadata: {{name: g}}, spec: {{links: [{}]}}}}",
            links.join(", ")
        );
        let mut set = Objects::new();
        set.insert(parse("g", &text).unwrap().remove(0), Source::Api).unwrap();
        set
    };
    assert_eq!(messages(&gateway(limits::LINKS)), [""; 0]);
    assert_eq!(
        messages(&gateway(limits::LINKS + 1)),
        ["g:1:45: Gateway/g: spec.links: there are 257 links, at most 256 are allowed"]
    );
}

/// A million prefixes as a user would write them.
fn many_prefixes(count: usize) -> String {
    let mut text = "kind: Prefilter\nmetadata: {name: blocklist}\nspec:\n  deny:\n".to_owned();
    for number in 0..count {
        text.push_str(&format!("    - {}/32\n", address(number)));
    }
    text
}

#[test]
fn prefixes_a_million_are_read_and_checked_in_seconds() {
    let start = Instant::now();
    let mut objects = set([]);
    let parsed = parse("blocklist.yaml", &many_prefixes(limits::PREFIXES)).unwrap().remove(0);
    objects.insert(parsed, Source::Api).unwrap();
    assert_eq!(messages(&objects), [""; 0]);
    let took = start.elapsed();
    println!("1,000,000 prefixes read and checked in {took:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");

    let mut other = parse("more.yaml", &many_prefixes(1)).unwrap().remove(0);
    other.object.metadata_mut().name = Name::new("more").unwrap();
    objects.insert(other, Source::Api).unwrap();
    assert_eq!(
        messages(&objects),
        [
            "more.yaml:3:1: Prefilter/more: spec: all prefilters together have 1000001 prefixes, at most 1000000 are allowed"
        ]
    );
}

#[test]
fn a_list_of_bad_prefixes_is_given_up_in_time() {
    let text = many_prefixes(500_000).replace("/32", "");
    let start = Instant::now();
    let problems = parse("blocklist.yaml", &text).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!((3..=101).contains(&problems.len()), "{} problems", problems.len());
    assert_eq!(
        problems[0].to_string(),
        "blocklist.yaml:5:7: Prefilter/blocklist: spec.deny[0]: `10.0.0.0` is not a prefix: for this one address write 10.0.0.0/32"
    );
    let last = problems.last().unwrap().to_string();
    assert!(
        last.ends_with("this object has more problems than are shown: correct these first"),
        "{last}"
    );
}

#[test]
fn a_thousand_problems_are_shown_and_the_rest_counted() {
    let text = many_prefixes(1500).replace("/32", "/0").replace("10.0.0.0/0", "10.0.0.0/32");
    let mut objects = set([]);
    objects.insert(parse("b", &text).unwrap().remove(0), Source::Api).unwrap();
    let problems = validate(&objects).unwrap_err();
    assert_eq!(problems.len(), 1001);
    assert_eq!(problems[1000].to_string(), "499 more problems are not shown");
}

#[test]
fn aliases_cannot_blow_up_a_document() {
    let mut text =
        "kind: Prefilter\nmetadata: {name: a}\nspec:\n  a: &a [x, x, x, x, x, x, x, x, x, x]\n"
            .to_owned();
    for (this, last) in ('b'..='j').zip('a'..) {
        let repeated = vec![format!("*{last}"); 10].join(", ");
        text.push_str(&format!("  {this}: &{this} [{repeated}]\n"));
    }
    let start = Instant::now();
    let problems = parse("bomb.yaml", &text).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(
        problems.iter().any(|problem| problem.message
            == "the aliases of this document repeat more than 100000 values"),
        "{problems:#?}"
    );
}

#[test]
fn depth_cannot_blow_up_the_stack() {
    for text in [
        "[".repeat(1_000_000),
        "- ".repeat(1_000_000),
        "{a: ".repeat(1_000_000),
        "? ".repeat(100_000),
    ] {
        assert!(!parse("deep", &text).unwrap_err().is_empty());
    }
}
