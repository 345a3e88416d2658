//! The configuration objects of Sluice: what a user writes, what is wrong with it and where, and what the gateway
//! answers about it. This crate reads and writes nothing but memory.
//!
//! | module | subject |
//! |---|---|
//! | [`object`] | `Gateway`, `Service`, `Prefilter` and their envelope |
//! | [`placement`] | where stages run, and what the operator wants of that |
//! | [`values`] | names, ports, weights, time spans, prefixes: the words of the objects |
//! | [`parse()`] | text to objects, with the position of every field |
//! | [`objects`], [`diff`] | the set of objects that is the desired state, and the difference of two such sets |
//! | [`validate()`] | what no single field can tell: contradictions inside an object and between objects |
//! | [`schema`] | the same for editors and other programs: JSON Schema |
//! | [`tunnel`] | tunnels, on which nothing acts yet: fields, keys, lengths |
//! | [`status`] | what the gateway says about each object |
//! | [`limits`] | every number that bounds a configuration |

pub mod diff;
pub mod gateway;
pub mod health;
pub mod limits;
pub mod object;
pub mod objects;
pub mod parse;
pub mod placement;
pub mod position;
pub mod prefilter;
pub mod problem;
pub mod schema;
pub mod service;
pub mod status;
pub mod tunnel;
pub mod validate;
pub mod values;

pub use diff::{Change, Diff, FieldChange};
pub use gateway::{AttachMode, Capacity, Events, GatewaySpec, Link, NatPool, TunnelSource};
pub use health::{Health, HealthType};
pub use object::{
    API_VERSION, Gateway, Kind, Metadata, Object, ObjectId, Prefilter, Resource, Service,
};
pub use objects::{Entry, Objects, Source};
pub use parse::{Parsed, parse};
pub use placement::{Offload, Pin, Placement, Policy, Stage};
pub use position::{FieldPath, Location, Position};
pub use prefilter::PrefilterSpec;
pub use problem::Problem;
pub use schema::json_schema;
pub use service::{
    Affinity, Backend, BackendState, DeliveryMode, NoBackend, Protocol, ServiceSpec,
};
pub use validate::validate;
pub use values::{
    LinkName, Name, Port, PortRange, PortSpec, Prefix, ProbeBytes, StatusPattern, TimeSpan,
    ValueError, Weight,
};
