//! What a link can do: the capability profile.
//!
//! - [`Profile`]: identity of a link and one [`Finding`] per [`Capability`], each with its [`Evidence`].
//! - Queries for a planner: [`Profile::program_offload`], [`Profile::flower`], [`Profile::excludes`].
//! - [`difference`]: what two profiles answer differently.
//! - [`shipped`]: profiles that come with Sluice, to plan for a card that is not here.
//!
//! The form of a profile in JSON is published as a JSON Schema: [`json_schema`].

mod capability;
mod diff;
mod evidence;
mod finding;
mod identity;
mod lines;
mod profile;
mod query;
mod schema;
pub mod shipped;

pub use capability::{
    Capability, FlowerAction, FlowerMatch, Helper, Hook, LinkFeature, MapKind, Occupant,
    ProgramFeature, ProgramVerdict, TcFeature, UnknownCapability, XdpFeature,
};
pub use diff::{Difference, difference};
pub use evidence::{Answer, Evidence};
pub use finding::{Finding, Limits, Verdict};
pub use identity::{Amount, DevlinkInfo, Identity, Reading};
pub use lines::Line;
pub use profile::{LoadError, Origin, Profile, SCHEMA_VERSION};
pub use query::{FlowerLimits, ProgramLimits};
pub use schema::json_schema;
