//! Where things stand in a text, and what they are called.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A place in a text. Both numbers start at 1; columns count characters.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A field of an object.
    Field(Cow<'static, str>),
    /// An element of a list, counted from 0.
    Index(usize),
}

/// The way from an object to one of its fields: `spec.backends[2].port`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Vec<Segment>);

impl FieldPath {
    /// The object itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// A field of the object's `spec`.
    #[must_use]
    pub fn spec(field: &'static str) -> Self {
        Self::root().field("spec").field(field)
    }

    /// A field of what this path leads to.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Segment::Field(name.into()));
        self
    }

    /// An element of the list this path leads to.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.0.push(Segment::Index(index));
        self
    }

    /// The steps.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether it leads to the object itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if is_plain(name) => {
                    let dot = if depth == 0 { "" } else { "." };
                    write!(f, "{dot}{name}")?;
                }
                Segment::Field(name) => write!(f, "[{name:?}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a field's name can be read in a path without quotes.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
}

/// Which part of a field is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its name.
    Name,
    /// Its value.
    Value,
}

/// Where the fields of an object stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldPositions {
    pub(crate) at: Position,
    pub(crate) children: Children,
}

/// Where the parts of a value stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Children {
    /// It has no parts.
    None,
    /// The elements of a list that have no parts: a million prefixes shall not cost more than they must.
    Leaves(Vec<Position>),
    /// The elements of a list.
    List(Vec<FieldPositions>),
    /// The fields of an object, with the places of their names.
    Fields(Vec<(Box<str>, Position, FieldPositions)>),
}

impl FieldPositions {
    /// Where the object stands.
    #[must_use]
    pub const fn start(&self) -> Position {
        self.at
    }

    /// Where a field stands. For one that is absent: the name (or the list element) it should be in.
    #[must_use]
    pub fn locate(&self, path: &FieldPath, part: Part) -> Position {
        let mut here = self;
        // The place to answer with when the next step leads nowhere.
        let mut owner = self.at;
        let steps = path.segments();
        for (depth, step) in steps.iter().enumerate() {
            let last = depth + 1 == steps.len();
            match (step, &here.children) {
                (Segment::Field(name), Children::Fields(fields)) => {
                    let Some((_, name_at, value)) = fields.iter().find(|(key, ..)| **key == **name)
                    else {
                        return owner;
                    };
                    if last && part == Part::Name {
                        return *name_at;
                    }
                    owner = *name_at;
                    here = value;
                }
                (Segment::Index(index), Children::List(elements)) => {
                    let Some(element) = elements.get(*index) else { return owner };
                    owner = element.at;
                    here = element;
                }
                (Segment::Index(index), Children::Leaves(leaves)) => {
                    return leaves.get(*index).copied().unwrap_or(owner);
                }
                _ => return owner,
            }
        }
        here.at
    }
}

/// Where an object was read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file, as it was called by the caller of [`parse`](crate::parse()).
    pub file: Arc<str>,
    /// The places of the object's fields in it.
    pub fields: Arc<FieldPositions>,
}

impl Location {
    /// Where the object begins.
    #[must_use]
    pub fn start(&self) -> Position {
        self.fields.start()
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.start())
    }
}
