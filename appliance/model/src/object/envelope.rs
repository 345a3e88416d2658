//! The written form of an object. [`parse`](crate::parse()) reads the same form with positions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Kind, Metadata, Object, Resource};
use crate::gateway::GatewaySpec;
use crate::prefilter::PrefilterSpec;
use crate::service::ServiceSpec;

/// The only value of `apiVersion`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) enum ApiVersion {
    #[default]
    #[serde(rename = "sluice.dev/v1")]
    V1,
}

/// What is read.
#[derive(Deserialize)]
#[serde(tag = "kind")]
#[allow(clippy::large_enum_variant, reason = "it lives only while an object is read")]
pub(super) enum Incoming {
    Gateway(Body<GatewaySpec>),
    Service(Body<ServiceSpec>),
    Prefilter(Body<PrefilterSpec>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Body<S> {
    #[serde(default, rename = "apiVersion")]
    _api_version: ApiVersion,
    metadata: Metadata,
    spec: S,
    /// Answers carry a status; sent back, it means nothing.
    #[serde(default, rename = "status")]
    _status: serde::de::IgnoredAny,
}

impl<S> From<Body<S>> for Resource<S> {
    fn from(body: Body<S>) -> Self {
        Self { metadata: body.metadata, spec: body.spec }
    }
}

impl From<Incoming> for Object {
    fn from(incoming: Incoming) -> Self {
        match incoming {
            Incoming::Gateway(body) => Self::Gateway(body.into()),
            Incoming::Service(body) => Self::Service(body.into()),
            Incoming::Prefilter(body) => Self::Prefilter(body.into()),
        }
    }
}

/// What is written. `apiVersion` and `kind` come first, as people expect.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Outgoing<'a, S> {
    api_version: ApiVersion,
    kind: Kind,
    metadata: &'a Metadata,
    spec: &'a S,
}

impl<'a, S> Outgoing<'a, S> {
    fn new(kind: Kind, resource: &'a Resource<S>) -> Self {
        Self {
            api_version: ApiVersion::V1,
            kind,
            metadata: &resource.metadata,
            spec: &resource.spec,
        }
    }
}

impl Serialize for Object {
    fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Self::Gateway(object) => Outgoing::new(Kind::Gateway, object).serialize(serializer),
            Self::Service(object) => Outgoing::new(Kind::Service, object).serialize(serializer),
            Self::Prefilter(object) => Outgoing::new(Kind::Prefilter, object).serialize(serializer),
        }
    }
}
