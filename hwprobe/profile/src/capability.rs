//! The lines of a profile: everything that is asked of a link.

mod names;
mod offload;
mod traffic;

pub use offload::{Helper, Hook, MapKind, ProgramFeature, ProgramVerdict};
pub use traffic::{FlowerAction, FlowerMatch, LinkFeature, Occupant, TcFeature, XdpFeature};

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// One thing that a link may be able to do. In JSON it is a name with dots: `offload.xdp.helper.map-lookup`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// XDP on the host.
    Xdp(XdpFeature),
    /// A program on the card at this hook.
    Offload(Hook, ProgramFeature),
    /// Tables of this kind on the card.
    Map(MapKind),
    /// Traffic control on the card.
    Tc(TcFeature),
    /// A field that a flower rule on the card may match.
    FlowerMatch(FlowerMatch),
    /// What a flower rule on the card may do.
    FlowerAction(FlowerAction),
    /// Encryption, checksums, segmentation and distribution to queues.
    Link(LinkFeature),
    /// These two exclude each other: `yes` means that only one of them can be there.
    Excludes(Occupant, Occupant),
}

impl Capability {
    /// All of them, in the order of a profile.
    pub fn all() -> Vec<Self> {
        let hooks = Hook::ALL.iter();
        let offload = hooks.flat_map(|hook| {
            ProgramFeature::all().into_iter().map(|feature| Self::Offload(*hook, feature))
        });
        XdpFeature::ALL
            .iter()
            .map(|feature| Self::Xdp(*feature))
            .chain(offload)
            .chain(MapKind::ALL.iter().map(|kind| Self::Map(*kind)))
            .chain(TcFeature::ALL.iter().map(|feature| Self::Tc(*feature)))
            .chain(FlowerMatch::ALL.iter().map(|field| Self::FlowerMatch(*field)))
            .chain(FlowerAction::ALL.iter().map(|action| Self::FlowerAction(*action)))
            .chain(LinkFeature::ALL.iter().map(|feature| Self::Link(*feature)))
            .chain(Occupant::pairs().into_iter().map(|(one, other)| Self::Excludes(one, other)))
            .collect()
    }

    /// The exclusion of two, in the order in which profiles name them.
    pub fn exclusion(one: Occupant, other: Occupant) -> Self {
        Self::Excludes(one.min(other), one.max(other))
    }
}

impl Display for Capability {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp(feature) => write!(f, "xdp.{}", feature.name()),
            Self::Offload(hook, feature) => write!(f, "offload.{}.{feature}", hook.name()),
            Self::Map(kind) => write!(f, "offload.map.{}", kind.name()),
            Self::Tc(feature) => write!(f, "tc.{}", feature.name()),
            Self::FlowerMatch(field) => write!(f, "tc.flower.match.{}", field.name()),
            Self::FlowerAction(action) => write!(f, "tc.flower.action.{}", action.name()),
            Self::Link(feature) => f.write_str(feature.name()),
            Self::Excludes(one, other) => write!(f, "excludes.{}.{}", one.name(), other.name()),
        }
    }
}

/// A name that no capability has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no capability '{0}' in this version; `hwprobe schema` lists them")]
pub struct UnknownCapability(String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let mut all = Self::all().into_iter();
        all.find(|capability| capability.to_string() == name)
            .ok_or_else(|| UnknownCapability(name.to_owned()))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Capability {
    fn schema_name() -> Cow<'static, str> {
        "Capability".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = Self::all().iter().map(Self::to_string).collect();
        json_schema!({ "type": "string", "enum": names })
    }
}
