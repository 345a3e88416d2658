//! JSON Schema (draft 2020-12) of the objects.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde_json::{Value, json};

use crate::gateway::GatewaySpec;
use crate::object::{API_VERSION, Kind, Metadata};
use crate::prefilter::PrefilterSpec;
use crate::service::ServiceSpec;

/// The envelope of an object, only for its schema.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Object")]
#[allow(dead_code, reason = "read by the derive only")]
struct Envelope<S> {
    /// The version of this schema.
    #[serde(default = "api_version")]
    api_version: String,
    /// What the object is.
    kind: String,
    /// Name, labels, version.
    metadata: Metadata,
    /// What is wanted.
    spec: S,
    /// What is: written by the gateway, ignored when it is sent back.
    #[serde(default)]
    status: Value,
}

fn api_version() -> String {
    API_VERSION.to_owned()
}

/// The schema of all objects of a kind, as it is published.
#[must_use]
pub fn json_schema(kind: Kind) -> Value {
    let schema = match kind {
        Kind::Gateway => envelope::<GatewaySpec>(),
        Kind::Service => envelope::<ServiceSpec>(),
        Kind::Prefilter => envelope::<PrefilterSpec>(),
    };
    let mut schema = schema.to_value();
    schema["title"] = json!(kind.as_str());
    schema["properties"]["kind"] =
        json!({ "const": kind.as_str(), "description": "What the object is." });
    schema["properties"]["apiVersion"]["const"] = json!(API_VERSION);
    schema
}

fn envelope<S: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Envelope<S>>()
}
