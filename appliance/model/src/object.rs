//! The objects and their envelope: `apiVersion`, `kind`, `metadata`, `spec`.

mod envelope;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(crate) use envelope::Body;

use crate::gateway::GatewaySpec;
use crate::prefilter::PrefilterSpec;
use crate::service::ServiceSpec;
use crate::values::{Name, ValueError};

/// The `apiVersion` of every object.
pub const API_VERSION: &str = "sluice.dev/v1";

/// What an object is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Kind {
    /// The gateway itself: links, pools, capacities. There is one.
    Gateway,
    /// A virtual address and its backends.
    Service,
    /// Source prefixes to drop or to let through.
    Prefilter,
}

impl Kind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Gateway, Self::Service, Self::Prefilter];

    /// The word in `kind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "Gateway",
            Self::Service => "Service",
            Self::Prefilter => "Prefilter",
        }
    }

    /// The word in the path of the API: `services`.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Gateway => "gateways",
            Self::Service => "services",
            Self::Prefilter => "prefilters",
        }
    }

    /// The word on the command line: `service`.
    #[must_use]
    pub const fn singular(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Service => "service",
            Self::Prefilter => "prefilter",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads `Service`, `service` and `services`.
impl FromStr for Kind {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|kind| [kind.as_str(), kind.singular(), kind.plural()].contains(&text))
            .ok_or_else(|| {
                ValueError::new(format!(
                    "`{text}` is not a kind: expected Gateway, Service or Prefilter"
                ))
            })
    }
}

/// What one object is called: `Service/web`.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct ObjectId {
    /// What it is.
    pub kind: Kind,
    /// Its name among the objects of its kind.
    pub name: Name,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Reads `Service/web`, `service/web` and `services/web`.
impl FromStr for ObjectId {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let Some((kind, name)) = text.split_once('/') else {
            return Err(ValueError::new(format!(
                "`{text}` is not an object: expected kind and name such as service/web"
            )));
        };
        Ok(Self { kind: kind.parse()?, name: name.parse()? })
    }
}

/// What every object has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Metadata {
    /// The name among the objects of its kind.
    pub name: Name,
    /// Free words of the operator.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Set in answers. When it is sent back, a write succeeds only if nobody else wrote in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
}

impl Metadata {
    /// Metadata with this name and nothing else.
    #[must_use]
    pub fn named(name: Name) -> Self {
        Self { name, labels: BTreeMap::new(), resource_version: None }
    }
}

/// An object of a known kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource<S> {
    /// Name, labels, version.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: S,
}

/// The gateway itself.
pub type Gateway = Resource<GatewaySpec>;
/// A virtual address and its backends.
pub type Service = Resource<ServiceSpec>;
/// Source prefixes to drop or to let through.
pub type Prefilter = Resource<PrefilterSpec>;

impl<S> Resource<S> {
    /// The object's name.
    pub fn name(&self) -> &Name {
        &self.metadata.name
    }
}

/// An object of any kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "envelope::Incoming")]
#[allow(
    clippy::large_enum_variant,
    reason = "the largest variant is the one that nearly all objects are"
)]
pub enum Object {
    /// The gateway itself.
    Gateway(Gateway),
    /// A virtual address and its backends.
    Service(Service),
    /// Source prefixes to drop or to let through.
    Prefilter(Prefilter),
}

impl Object {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Gateway(_) => Kind::Gateway,
            Self::Service(_) => Kind::Service,
            Self::Prefilter(_) => Kind::Prefilter,
        }
    }

    /// Name, labels, version.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        match self {
            Self::Gateway(object) => &object.metadata,
            Self::Service(object) => &object.metadata,
            Self::Prefilter(object) => &object.metadata,
        }
    }

    /// Name, labels, version, to be changed.
    pub const fn metadata_mut(&mut self) -> &mut Metadata {
        match self {
            Self::Gateway(object) => &mut object.metadata,
            Self::Service(object) => &mut object.metadata,
            Self::Prefilter(object) => &mut object.metadata,
        }
    }

    /// The name among the objects of its kind.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.metadata().name
    }

    /// Kind and name.
    #[must_use]
    pub fn id(&self) -> ObjectId {
        ObjectId { kind: self.kind(), name: self.name().clone() }
    }

    /// The gateway, if it is one.
    #[must_use]
    pub const fn as_gateway(&self) -> Option<&Gateway> {
        if let Self::Gateway(object) = self { Some(object) } else { None }
    }

    /// The service, if it is one.
    #[must_use]
    pub const fn as_service(&self) -> Option<&Service> {
        if let Self::Service(object) = self { Some(object) } else { None }
    }

    /// The prefilter, if it is one.
    #[must_use]
    pub const fn as_prefilter(&self) -> Option<&Prefilter> {
        if let Self::Prefilter(object) = self { Some(object) } else { None }
    }
}
