//! The published JSON Schemas say what the parser does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use sluice_model::{Kind, json_schema, parse};

/// Follows a reference inside the schema.
fn resolve<'s>(schema: &'s Value, node: &'s Value) -> &'s Value {
    match node["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => {
            schema.pointer(pointer).unwrap_or_else(|| panic!("{pointer} leads nowhere"))
        }
        None => node,
    }
}

/// Every field of `value` that the schema does not describe.
fn undescribed(
    schema: &Value,
    node: &Value,
    value: &Value,
    path: &str,
    found: &mut BTreeSet<String>,
) {
    let node = resolve(schema, node);
    match value {
        Value::Object(fields) if node["properties"].is_object() => {
            assert_eq!(node["additionalProperties"], Value::Bool(false), "{path} is open");
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match node["properties"].get(name) {
                    Some(property) => undescribed(schema, property, value, &path, found),
                    None => drop(found.insert(path)),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                undescribed(schema, &node["items"], element, path, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_of_the_examples_is_described() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/full.yaml");
    let parsed = parse("full.yaml", &std::fs::read_to_string(path).unwrap()).unwrap();
    let mut found = BTreeSet::new();
    for object in parsed.iter().map(|parsed| &parsed.object) {
        let schema = json_schema(object.kind());
        assert!(schema["properties"]["spec"].is_object(), "{schema:#}");
        let value = serde_json::to_value(object).unwrap();
        undescribed(&schema, &schema, &value, object.kind().as_str(), &mut found);
    }
    assert_eq!(found, BTreeSet::new());
}

#[test]
fn each_kind_is_fixed_and_its_required_fields_are_those_of_the_parser() {
    for kind in Kind::ALL {
        let schema = json_schema(kind);
        assert_eq!(schema["properties"]["kind"]["const"], kind.as_str());
        assert_eq!(schema["properties"]["apiVersion"]["const"], "sluice.dev/v1");
        assert_eq!(schema["required"], serde_json::json!(["kind", "metadata", "spec"]));
    }
    let schema = json_schema(Kind::Service);
    let spec = resolve(&schema, &schema["properties"]["spec"]);
    assert_eq!(spec["required"], serde_json::json!(["address", "protocol", "port", "mode"]));
    assert_eq!(spec["properties"]["idleTimeout"]["default"], "5m");
    let backend = resolve(&schema, &spec["properties"]["backends"]["items"]);
    assert_eq!(backend["required"], serde_json::json!(["address"]));
}

/// The parser goes on after a missing field only if it knows an example of it.
#[test]
fn a_missing_field_hides_no_other_problem() {
    for kind in Kind::ALL {
        let schema = json_schema(kind);
        for (name, definition) in schema["$defs"].as_object().unwrap() {
            let required = definition["required"].as_array().map(Vec::as_slice).unwrap_or_default();
            let place = match name.as_str() {
                "Metadata" => format!("{{kind: {kind}, metadata: {{}}, spec: {{}}}}"),
                "Link" => "{kind: Gateway, metadata: {name: g}, spec: {links: [{}]}}".to_owned(),
                "Pin" => "{kind: Gateway, metadata: {name: g}, spec: {links: [{name: l, placements: [{}]}]}}".to_owned(),
                "NatPool" => "{kind: Gateway, metadata: {name: g}, spec: {natPools: [{}]}}".to_owned(),
                "ServiceSpec" => "{kind: Service, metadata: {name: s}, spec: {}}".to_owned(),
                "Backend" => "{kind: Service, metadata: {name: s}, spec: {address: 192.0.2.1, protocol: TCP, \
                    port: 80, mode: dsr, backends: [{}]}}"
                    .to_owned(),
                _ => {
                    assert!(required.is_empty(), "{name} has required fields and no case here");
                    continue;
                }
            };
            let problems = parse("x", &place).err().unwrap_or_default();
            let missing: BTreeSet<_> = problems
                .iter()
                .filter(|problem| problem.message == "this field is missing")
                .filter_map(|problem| problem.field.as_ref()?.rsplit('.').next().map(str::to_owned))
                .collect();
            for field in required {
                assert!(
                    missing.contains(field.as_str().unwrap()),
                    "{name}: {field} in {problems:#?}"
                );
            }
        }
    }
}
