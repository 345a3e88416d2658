//! The set of objects that is the desired state.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::diff::Diff;
use crate::object::{Gateway, Kind, Object, ObjectId, Prefilter, Service};
use crate::parse::Parsed;
use crate::position::{FieldPath, Location, Part};
use crate::problem::Problem;

/// Who said that an object shall be.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum Source {
    /// A file of the configuration directory.
    File {
        /// Its path.
        path: String,
    },
    /// A request to the API.
    Api,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => f.write_str(path),
            Self::Api => f.write_str("the API"),
        }
    }
}

/// An object with what is known about it. Cloning it copies no object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The object.
    pub object: Arc<Object>,
    /// Who said that it shall be.
    pub source: Source,
    /// Where it was read, as long as somebody may want to know.
    pub location: Option<Location>,
}

impl Entry {
    /// `metadata.resourceVersion`.
    #[must_use]
    pub fn resource_version(&self) -> Option<&str> {
        self.object.metadata().resource_version.as_deref()
    }

    /// A problem of this object, with all that is known of its place.
    pub(crate) fn problem(&self, path: &FieldPath, part: Part, problem: Problem) -> Problem {
        let location = self.location.as_ref();
        Problem {
            file: location.map(|location| location.file.to_string()),
            position: location.map(|location| location.fields.locate(path, part)),
            object: Some(self.object.id().to_string()),
            field: (!path.is_root()).then(|| path.to_string()),
            ..problem
        }
    }
}

/// Objects, each kind and name once, in the order of kind and name. Cloning it copies no object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects(BTreeMap<ObjectId, Entry>);

impl Objects {
    /// No objects.
    #[must_use]
    pub const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// The set of these objects.
    ///
    /// # Errors
    /// One problem for each object that is declared again.
    pub fn from_parsed(
        all: impl IntoIterator<Item = (Parsed, Source)>,
    ) -> Result<Self, Vec<Problem>> {
        let mut objects = Self::new();
        let problems: Vec<_> = all
            .into_iter()
            .filter_map(|(parsed, source)| {
                objects.insert(parsed, source).err().map(|problem| *problem)
            })
            .collect();
        if problems.is_empty() { Ok(objects) } else { Err(problems) }
    }

    /// Adds an object.
    ///
    /// # Errors
    /// When there is one of that kind and name; the set stays as it was.
    pub fn insert(&mut self, parsed: Parsed, source: Source) -> Result<(), Box<Problem>> {
        let entry =
            Entry { object: Arc::new(parsed.object), source, location: Some(parsed.location) };
        match self.0.entry(entry.object.id()) {
            Slot::Vacant(slot) => {
                slot.insert(entry);
                Ok(())
            }
            Slot::Occupied(slot) => {
                let first = slot.get();
                let place = match &first.location {
                    Some(location) => location.to_string(),
                    None => first.source.to_string(),
                };
                let problem =
                    Problem::new(format!("{} is declared twice, first in {place}", slot.key()))
                        .with_hint("remove one of the two, or change its name");
                let path = FieldPath::root().field("metadata").field("name");
                Err(Box::new(entry.problem(&path, Part::Value, problem)))
            }
        }
    }

    /// Adds an object, or puts it in the place of the one of its kind and name, which is returned.
    pub fn replace(
        &mut self,
        object: impl Into<Arc<Object>>,
        source: Source,
        location: Option<Location>,
    ) -> Option<Entry> {
        let object = object.into();
        self.0.insert(object.id(), Entry { object, source, location })
    }

    /// Takes an object out.
    pub fn remove(&mut self, id: &ObjectId) -> Option<Entry> {
        self.0.remove(id)
    }

    /// The object of this kind and name.
    #[must_use]
    pub fn get(&self, id: &ObjectId) -> Option<&Entry> {
        self.0.get(id)
    }

    /// All objects, in the order of kind and name.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&ObjectId, &Entry)> {
        self.0.iter()
    }

    /// All objects of a kind, in the order of their names.
    pub fn of_kind(&self, kind: Kind) -> impl DoubleEndedIterator<Item = (&ObjectId, &Entry)> {
        self.0.iter().filter(move |(id, _)| id.kind == kind)
    }

    /// The gateway. A valid set has at most one.
    #[must_use]
    pub fn gateway(&self) -> Option<&Gateway> {
        self.0.values().find_map(|entry| entry.object.as_gateway())
    }

    /// All services, in the order of their names.
    pub fn services(&self) -> impl DoubleEndedIterator<Item = &Service> {
        self.0.values().filter_map(|entry| entry.object.as_service())
    }

    /// All prefilters, in the order of their names.
    pub fn prefilters(&self) -> impl DoubleEndedIterator<Item = &Prefilter> {
        self.0.values().filter_map(|entry| entry.object.as_prefilter())
    }

    /// The number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no object.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The objects of this set and of another, each kind and name once, in their order: what they are here, and there.
    pub fn beside<'o>(
        &'o self,
        other: &'o Self,
    ) -> impl Iterator<Item = (&'o ObjectId, Option<&'o Entry>, Option<&'o Entry>)> {
        let (mut here, mut there) = (self.0.iter().peekable(), other.0.iter().peekable());
        std::iter::from_fn(move || {
            let order = match (here.peek(), there.peek()) {
                (Some((a, _)), Some((b, _))) => a.cmp(b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => return None,
            };
            let here = if order.is_le() { here.next() } else { None };
            let there = if order.is_ge() { there.next() } else { None };
            let (id, _) = here.or(there)?;
            Some((id, here.map(|(_, entry)| entry), there.map(|(_, entry)| entry)))
        })
    }

    /// What must change to get from this set to `newer`.
    #[must_use]
    pub fn diff(&self, newer: &Self) -> Diff {
        Diff::between(self, newer)
    }
}
