//! A change is judged as the whole configuration would be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt::Write;

use proptest::prelude::*;
use sluice_model::objects::Source;
use sluice_model::{Objects, parse, validate, validate_change};

/// Few addresses and ports, so that they meet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    address: u8,
    udp: bool,
    port: u8,
    backends: Vec<u8>,
    has_pool: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Configuration {
    pool: Option<u8>,
    services: std::collections::BTreeMap<u8, Service>,
    prefilters: std::collections::BTreeMap<u8, Vec<(u8, bool)>>,
}

impl Configuration {
    fn yaml(&self) -> String {
        let pool = self.pool.map(|host| format!("{{name: default, addresses: [10.0.0.{host}]}}"));
        let mut yaml = format!(
            "kind: Gateway\nmetadata: {{name: g}}\nspec: {{links: [{{name: eth0}}], natPools: [{}]}}\n",
            pool.unwrap_or_default()
        );
        for (name, service) in &self.services {
            let Service { address, udp, port, backends, has_pool } = service;
            let protocol = if *udp { "UDP" } else { "TCP" };
            let mode = if *has_pool { "nat" } else { "dsr" };
            let backends: Vec<_> =
                backends.iter().map(|host| format!("{{address: 10.0.0.{host}}}")).collect();
            write!(
                yaml,
                "---\nkind: Service\nmetadata: {{name: s{name}}}\nspec: {{address: 10.0.0.{address}, protocol: {protocol}, port: {port}, mode: {mode}, backends: [{}]}}\n",
                backends.join(", ")
            )
            .unwrap();
        }
        for (name, prefixes) in &self.prefilters {
            let of = |wanted: bool| {
                let of = prefixes.iter().filter(|(_, deny)| *deny == wanted);
                of.map(|(host, _)| format!("198.51.100.{host}/32")).collect::<Vec<_>>().join(", ")
            };
            let (deny, allow) = (of(true), of(false));
            write!(
                yaml,
                "---\nkind: Prefilter\nmetadata: {{name: p{name}}}\nspec: {{deny: [{deny}], allow: [{allow}]}}\n"
            )
            .unwrap();
        }
        yaml
    }

    /// The objects; those that `before` has too are the same.
    fn objects(&self, before: &Objects) -> Objects {
        let mut objects = Objects::new();
        for parsed in parse("x.yaml", &self.yaml()).unwrap() {
            let known = before.get(&parsed.object.id()).map(|entry| entry.object.clone());
            let known = known.filter(|known| **known == parsed.object);
            let object = known.unwrap_or_else(|| parsed.object.into());
            objects.replace(object, Source::Api, None);
        }
        objects
    }
}

fn service() -> impl Strategy<Value = Service> {
    (
        1_u8..30,
        any::<bool>(),
        1_u8..4,
        prop::collection::vec(1_u8..200, 0..3),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(address, udp, port, backends, has_pool)| Service {
            address,
            udp,
            port,
            backends,
            has_pool,
        })
}

fn configuration() -> impl Strategy<Value = Configuration> {
    let prefixes = prop::collection::vec((0_u8..60, any::<bool>()), 0..4);
    (
        prop::option::of(200_u8..203),
        prop::collection::btree_map(0_u8..12, service(), 0..10),
        prop::collection::btree_map(0_u8..4, prefixes, 0..4),
    )
        .prop_map(|(pool, services, prefilters)| Configuration { pool, services, prefilters })
}

#[derive(Clone, Debug)]
enum Step {
    Service(u8, Option<Service>),
    Prefilter(u8, Option<Vec<(u8, bool)>>),
    Pool(Option<u8>),
}

fn step() -> impl Strategy<Value = Step> {
    let prefixes = prop::collection::vec((0_u8..60, any::<bool>()), 0..4);
    prop_oneof![
        6 => (0_u8..12, prop::option::weighted(0.8, service())).prop_map(|(n, s)| Step::Service(n, s)),
        3 => (0_u8..4, prop::option::weighted(0.8, prefixes)).prop_map(|(n, p)| Step::Prefilter(n, p)),
        1 => prop::option::of(200_u8..203).prop_map(Step::Pool),
    ]
}

fn changed(before: &Configuration, steps: Vec<Step>) -> Configuration {
    let mut after = before.clone();
    for step in steps {
        match step {
            Step::Service(name, Some(service)) => _ = after.services.insert(name, service),
            Step::Service(name, None) => _ = after.services.remove(&name),
            Step::Prefilter(name, Some(prefixes)) => _ = after.prefilters.insert(name, prefixes),
            Step::Prefilter(name, None) => _ = after.prefilters.remove(&name),
            Step::Pool(pool) => after.pool = pool,
        }
    }
    after
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn a_change_is_judged_as_the_whole(
        before in configuration(),
        steps in prop::collection::vec(step(), 1..3),
    ) {
        let objects = before.objects(&Objects::new());
        prop_assume!(validate(&objects).is_ok());
        let after = changed(&before, steps).objects(&objects);
        prop_assert_eq!(validate_change(&objects, &after), validate(&after));
    }
}
