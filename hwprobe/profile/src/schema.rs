//! JSON Schema (draft 2020-12) of profiles. The published copy is `schema/profile.schema.json`.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::{Profile, SCHEMA_VERSION};

/// The schema of a profile, as it is published.
#[must_use]
pub fn json_schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<Profile>()
        .to_value();
    schema["title"] = json!("Capability profile of a link");
    schema["properties"]["schemaVersion"]["const"] = json!(SCHEMA_VERSION);
    schema
}
