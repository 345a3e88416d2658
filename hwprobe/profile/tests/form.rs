//! Profiles in JSON: round trip, schema, comparison.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use sluice_profile::{
    Capability, Finding, LoadError, Profile, Verdict, XdpFeature, difference, json_schema, shipped,
};

fn profile(name: &str) -> Profile {
    shipped::profile(name).unwrap().unwrap()
}

#[test]
fn a_profile_survives_writing_and_reading() {
    for name in shipped::names() {
        let profile = profile(name);
        let text = profile.to_json().unwrap();
        assert_eq!(Profile::from_json(&text).unwrap(), profile);
    }
}

#[test]
fn every_capability_has_one_name_that_leads_back_to_it() {
    let all = Capability::all();
    let names: BTreeSet<_> = all.iter().map(Capability::to_string).collect();
    assert_eq!(names.len(), all.len());
    for capability in all {
        assert_eq!(capability.to_string().parse(), Ok(capability));
    }
    let unknown = "xdp.telepathy".parse::<Capability>().unwrap_err().to_string();
    assert!(unknown.contains("xdp.telepathy") && unknown.contains("hwprobe schema"), "{unknown}");
}

#[test]
fn another_version_and_another_form_are_refused_with_a_way_out() {
    let mut value = serde_json::to_value(profile("veth")).unwrap();
    value["schemaVersion"] = json!(2);
    value["newField"] = json!(true);
    let error = Profile::from_json(&value.to_string()).unwrap_err();
    assert!(matches!(error, LoadError::Version { found: 2 }));
    assert!(error.to_string().contains("probe again"), "{error}");
    value["schemaVersion"] = json!(1);
    let error = Profile::from_json(&value.to_string()).unwrap_err().to_string();
    assert!(error.contains("newField") && error.contains("hwprobe schema"), "{error}");
}

#[test]
fn the_published_schema_is_that_of_the_code() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/profile.schema.json");
    let wanted = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    if std::env::var_os("SLUICE_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == wanted,
        "{} is stale: write it with `SLUICE_WRITE_SCHEMA=1 cargo test -p sluice-profile`",
        path.display()
    );
}

/// Every field of a value that the schema does not know.
fn undescribed(schema: &Value, node: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    let node = match node["$ref"].as_str() {
        Some(reference) => schema.pointer(&reference[1..]).unwrap(),
        None => node,
    };
    let choices = ["oneOf", "anyOf"].iter().find_map(|word| node[*word].as_array());
    if let Some(choices) = choices {
        let fits = choices.iter().any(|choice| {
            let mut missing = Vec::new();
            undescribed(schema, choice, value, path, &mut missing);
            missing.is_empty()
        });
        if !fits {
            found.push(path.to_owned());
        }
        return;
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                match (node["properties"].get(name), node["additionalProperties"].as_object()) {
                    (Some(property), _) => undescribed(schema, property, value, &path, found),
                    (None, Some(_)) => {
                        undescribed(schema, &node["additionalProperties"], value, &path, found);
                    }
                    (None, None) => found.push(path),
                }
            }
        }
        Value::Array(elements) => {
            for element in elements {
                undescribed(schema, &node["items"], element, path, found);
            }
        }
        Value::String(text) => {
            if let Some(names) = node["enum"].as_array()
                && !names.contains(&json!(text))
            {
                found.push(format!("{path}: {text}"));
            }
        }
        _ => {}
    }
}

#[test]
fn every_field_of_the_shipped_profiles_is_in_the_schema() {
    let schema = json_schema();
    assert_eq!(schema["properties"]["schemaVersion"]["const"], 1);
    for name in shipped::names() {
        let value: Value = serde_json::from_str(shipped::text(name).unwrap()).unwrap();
        let mut found = Vec::new();
        undescribed(&schema, &schema, &value, name, &mut found);
        assert_eq!(found, Vec::<String>::new());
        let mut wrong = value;
        wrong["origin"]["nonsense"] = json!(1);
        undescribed(&schema, &schema, &wrong, name, &mut found);
        assert_ne!(found, Vec::<String>::new(), "the check finds nothing");
    }
}

#[test]
fn a_comparison_shows_what_differs_and_nothing_else() {
    let old = profile("netdevsim-6.12");
    assert_eq!(difference(&old, &old), []);
    let mut new = old.clone();
    let native = Capability::Xdp(XdpFeature::Native);
    let generic = Capability::Xdp(XdpFeature::Generic);
    new.lines.get_mut(&native).unwrap().verdict = Verdict::No;
    new.lines.remove(&generic);
    new.lines.insert(Capability::Xdp(XdpFeature::ZeroCopy), Finding::unknown("never asked"));
    let names: Vec<_> = difference(&old, &new).into_iter().map(|line| line.name).collect();
    assert_eq!(names, ["xdp.generic", "xdp.native", "xdp.zero-copy"]);
    let kernels = difference(&old, &profile("netdevsim-7.2"));
    assert!(kernels.iter().any(|line| line.name == "tc.flower.skip-sw"));
}
