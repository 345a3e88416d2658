//! The difference of two sets names every field that differs and no other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::json;
use sluice_model::{Diff, Objects, Source, parse};

const BEFORE: &str = "
kind: Gateway
metadata: {name: g}
spec: {links: [{name: eth0}, {name: eth1}], natPools: [{name: default, addresses: [10.0.1.250]}]}
---
kind: Service
metadata: {name: web, labels: {team: edge, note: old}}
spec:
  address: 192.0.2.10
  protocol: TCP
  port: 80
  mode: dsr
  allowedSources: [10.0.0.0/8]
  backends: [{address: 10.0.1.1}, {address: 10.0.1.2}, {address: 10.0.1.3, weight: 3}]
---
kind: Service
metadata: {name: old}
spec: {address: 192.0.2.11, protocol: TCP, port: 80, mode: dsr}
---
kind: Prefilter
metadata: {name: blocklist}
spec: {deny: [198.51.100.0/24]}
";

fn set(text: &str) -> Objects {
    Objects::from_parsed(
        parse("x.yaml", text).unwrap().into_iter().map(|parsed| (parsed, Source::Api)),
    )
    .unwrap()
}

fn fields(diff: &Diff, object: &str) -> Vec<String> {
    let change = diff.changed.iter().find(|change| change.object.to_string() == object);
    change
        .map(|change| change.fields.iter().map(|field| field.field.clone()).collect())
        .unwrap_or_default()
}

#[test]
fn equal_sets_do_not_differ() {
    assert!(set(BEFORE).diff(&set(BEFORE)).is_empty());
    assert!(Objects::new().diff(&Objects::new()).is_empty());
}

#[test]
fn a_resource_version_is_no_difference() {
    let after = BEFORE.replace("{name: blocklist}", "{name: blocklist, resourceVersion: \"7\"}");
    assert_ne!(after, BEFORE);
    assert!(set(BEFORE).diff(&set(&after)).is_empty());
}

#[test]
fn objects_come_and_go() {
    let after = BEFORE.replace("{name: old}", "{name: new}");
    let diff = set(BEFORE).diff(&set(&after));
    let names =
        |ids: &[sluice_model::ObjectId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&diff.added), ["Service/new"]);
    assert_eq!(names(&diff.removed), ["Service/old"]);
    assert_eq!(diff.changed, []);
    let all = Objects::new().diff(&set(BEFORE));
    assert_eq!(all.added.len(), 4);
    assert_eq!(set(BEFORE).diff(&Objects::new()).removed, all.added);
}

#[test]
fn fields_that_differ_are_named_with_both_values() {
    let after = BEFORE
        .replace(
            "port: 80\n  mode: dsr\n",
            "port: any\n  mode: dsr\n  affinity: source\n  natPool: x\n",
        )
        .replace("{team: edge, note: old}", "{team: core, extra: new}")
        .replace("[10.0.0.0/8]", "[10.0.0.0/8, 192.168.0.0/16]");
    let diff = set(BEFORE).diff(&set(&after));
    assert_eq!(
        fields(&diff, "Service/web"),
        [
            "metadata.labels.note",
            "metadata.labels.team",
            "metadata.labels.extra",
            "spec.affinity",
            "spec.allowedSources",
            "spec.port",
            "spec.natPool",
        ]
    );
    let port = diff.changed[0].fields.iter().find(|field| field.field == "spec.port").unwrap();
    assert_eq!((&port.before, &port.after), (&Some(json!(80)), &Some(json!("any"))));
    let pool = diff.changed[0].fields.iter().find(|field| field.field == "spec.natPool").unwrap();
    assert_eq!((&pool.before, &pool.after), (&None, &Some(json!("x"))));
    assert_eq!(diff.changed.len(), 1);
}

/// A backend that is added in front of the others changes none of them.
#[test]
fn elements_of_lists_are_recognised() {
    let after = BEFORE.replace(
        "[{address: 10.0.1.1}, {address: 10.0.1.2}, {address: 10.0.1.3, weight: 3}]",
        "[{address: 10.0.1.9}, {address: 10.0.1.1}, {address: 10.0.1.3, weight: 5, state: drain}]",
    );
    let diff = set(BEFORE).diff(&set(&after));
    assert_eq!(
        fields(&diff, "Service/web"),
        [
            "spec.backends[0]",
            "spec.backends[2].state",
            "spec.backends[2].weight",
            "spec.backends[1]"
        ]
    );
    let gone = diff.changed[0].fields.last().unwrap();
    assert_eq!(gone.before.as_ref().unwrap()["address"], "10.0.1.2");
    assert_eq!(gone.after, None);

    let after = BEFORE.replace("{name: eth0}, {name: eth1}", "{name: eth1, attach: generic}");
    let diff = set(BEFORE).diff(&set(&after));
    assert_eq!(fields(&diff, "Gateway/g"), ["spec.links[0].attach", "spec.links[0]"]);
}

#[test]
fn the_order_of_a_list_is_a_difference() {
    let after = BEFORE.replace(
        "{address: 10.0.1.1}, {address: 10.0.1.2}",
        "{address: 10.0.1.2}, {address: 10.0.1.1}",
    );
    let diff = set(BEFORE).diff(&set(&after));
    assert_eq!(fields(&diff, "Service/web"), ["spec.backends"]);
}

#[test]
fn long_lists_of_prefixes_are_told_by_their_length() {
    let prefixes: Vec<_> = (0..100).map(|number| format!("10.0.{number}.0/24")).collect();
    let after = BEFORE.replace("[198.51.100.0/24]", &format!("[{}]", prefixes.join(", ")));
    let diff = set(BEFORE).diff(&set(&after));
    let change = &diff.changed[0].fields[0];
    assert_eq!(change.field, "spec.deny");
    assert_eq!(change.before, Some(json!(["198.51.100.0/24"])));
    assert_eq!(change.after, Some(json!("100 values")));
}
