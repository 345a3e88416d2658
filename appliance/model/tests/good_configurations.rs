//! Every configuration in `tests/good` is accepted, and is the same after it was written and read again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use sluice_model::{
    Health, HealthType, Object, ObjectId, Objects, Parsed, Source, TimeSpan, parse, validate,
};

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good");
    let mut examples: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.sort();
    examples
}

fn read(path: &Path) -> Vec<Parsed> {
    let name = path.file_name().unwrap().to_str().unwrap();
    parse(name, &std::fs::read_to_string(path).unwrap())
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn full_example() -> Objects {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/full.yaml");
    Objects::from_parsed(read(&path).into_iter().map(|parsed| (parsed, Source::Api))).unwrap()
}

#[test]
fn every_example_is_the_same_after_a_round_trip() {
    for path in examples() {
        for Parsed { object, .. } in read(&path) {
            let yaml = serde_saphyr::to_string(&object).unwrap();
            let json = serde_json::to_string_pretty(&object).unwrap();
            for text in [&yaml, &json] {
                let again =
                    parse("again", text).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"));
                assert_eq!(again.len(), 1);
                assert_eq!(again[0].object, object, "{text}");
            }
            assert_eq!(serde_json::from_str::<Object>(&json).unwrap(), object);
            assert!(
                json.starts_with("{\n  \"apiVersion\": \"sluice.dev/v1\",\n  \"kind\": "),
                "{json}"
            );
        }
    }
}

#[test]
fn complete_examples_are_valid() {
    for name in ["empty", "full", "minimal", "repeated"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/good/{name}.yaml"));
        let objects =
            Objects::from_parsed(read(&path).into_iter().map(|parsed| (parsed, Source::Api)))
                .unwrap();
        validate(&objects).unwrap_or_else(|problems| panic!("{name}: {problems:#?}"));
        assert_eq!(objects.is_empty(), name == "empty");
    }
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let text = "kind: Service\nmetadata: {name: web}\n\
        spec: {address: 192.0.2.10, protocol: TCP, port: 80, mode: dsr, backends: [{address: 10.0.1.1}]}";
    let parsed = parse("web.yaml", text).unwrap();
    let service = parsed[0].object.as_service().unwrap();
    let expected = serde_json::json!({
        "address": "192.0.2.10",
        "protocol": "TCP",
        "port": 80,
        "mode": "dsr",
        "affinity": "none",
        "allowedSources": [],
        "noBackend": "refuse",
        "drainTimeout": "5m",
        "idleTimeout": "5m",
        "backends": [{ "address": "10.0.1.1", "weight": 1, "state": "active" }],
        "health": { "type": "none", "interval": "2s", "timeout": "1s", "rise": 2, "fall": 3 },
    });
    assert_eq!(serde_json::to_value(&service.spec).unwrap(), expected);

    let parsed = parse(
        "gateway.yaml",
        "{kind: Gateway, metadata: {name: g}, spec: {links: [{name: eth0}]}}",
    )
    .unwrap();
    let gateway = parsed[0].object.as_gateway().unwrap();
    let expected = serde_json::json!({
        "links": [{ "name": "eth0", "attach": "auto", "offload": "auto", "replaceForeign": false }],
        "tunnelSource": {},
        "natPools": [],
        "capacity": { "rememberedFlows": 65536, "fragments": 4096 },
        "events": { "dropsPerSecond": 1000, "sampleFlows": 64 },
    });
    assert_eq!(serde_json::to_value(&gateway.spec).unwrap(), expected);
}

#[test]
fn accessors_give_the_value_in_force() {
    let objects = full_example();
    let service =
        |name: &str| &objects.services().find(|service| *service.name() == *name).unwrap().spec;

    let web = service("web");
    assert_eq!(web.nat_pool_name(), Some("default"));
    assert_eq!(web.backend_port(&web.backends[0]).unwrap().get(), 8080);
    assert_eq!(web.backend_port(&web.backends[2]).unwrap().get(), 80);
    assert_eq!(web.health_port(&web.backends[1]).unwrap().get(), 8080);
    assert!(web.health.accepts_status(204) && web.health.accepts_status(301));
    assert!(!web.health.accepts_status(201) && !web.health.accepts_status(404));

    let echo = service("echo");
    assert_eq!(echo.nat_pool_name(), Some("small"));
    assert_eq!(echo.backend_port(&echo.backends[0]), None);
    assert_eq!(echo.backend_port(&echo.backends[1]).unwrap().get(), 7);
    assert!(echo.port.contains(7999) && !echo.port.contains(8000));

    let rest = service("web-rest");
    assert_eq!(rest.nat_pool_name(), None);
    assert_eq!(rest.health.path(), "/");
    assert!(rest.health.tls_verify() && rest.port.contains(1));
    assert_eq!(rest.idle_timeout, TimeSpan::from_millis(5_400_000));

    let http = Health { check: HealthType::Http, ..Health::default() };
    assert!(http.accepts_status(200) && http.accepts_status(399) && !http.accepts_status(400));

    let capacity = &objects.gateway().unwrap().spec.capacity;
    assert_eq!((capacity.remembered_flow_entries(), capacity.fragment_entries()), (65_536, 4096));
}

#[test]
fn an_alias_and_a_null_mean_what_they_stand_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/repeated.yaml");
    let parsed = read(&path);
    let service = parsed[1].object.as_service().unwrap();
    assert_eq!(service.spec.port.to_string(), "8080");
    assert_eq!(service.spec.nat_pool, None);
    assert_eq!(service.spec.backends[1].weight.get(), 5);
}

#[test]
fn a_pool_has_the_unprivileged_ports_unless_it_says_others() {
    let objects = full_example();
    let pools = &objects.gateway().unwrap().spec.nat_pools;
    assert_eq!(pools[0].ports.to_string(), "1024-65535");
    assert_eq!(pools[1].ports.count(), 2);
    let text = "{kind: Gateway, metadata: {name: g}, spec: {natPools: [{name: p, addresses: [10.0.1.250]}]}}";
    let parsed = parse("g", text).unwrap();
    assert_eq!(parsed[0].object.as_gateway().unwrap().spec.nat_pools[0].ports, pools[0].ports);
}

#[test]
fn objects_are_called_by_kind_and_name() {
    for text in ["Service/web", "service/web", "services/web"] {
        let id: ObjectId = text.parse().unwrap();
        assert_eq!(id.to_string(), "Service/web");
        assert!(full_example().get(&id).is_some());
    }
    let error = |text: &str| text.parse::<ObjectId>().unwrap_err().to_string();
    assert_eq!(error("web"), "`web` is not an object: expected kind and name such as service/web");
    assert_eq!(error("route/web"), "`route` is not a kind: expected Gateway, Service or Prefilter");
    assert!(error("service/Web").starts_with("`Web` is not a name"));
}
