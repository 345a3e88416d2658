//! Names of objects and of NAT pools.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{ValueError, string_schema};
use crate::limits::NAME_LENGTH;

/// A DNS label in lower case (RFC 1123, section 2.1): it can stand in a path, a metric and a host name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// When the text is not a DNS label in lower case.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        let complaint = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > NAME_LENGTH {
            format!("it has {} characters, at most {NAME_LENGTH} are allowed", text.len())
        } else if let Some(bad) = text.chars().find(|c| !matches!(c, 'a'..='z' | '0'..='9' | '-')) {
            format!("`{}` is not allowed", bad.escape_default())
        } else if text.starts_with('-') || text.ends_with('-') {
            "it begins or ends with `-`".to_owned()
        } else {
            return Ok(Self(text));
        };
        Err(ValueError::new(format!(
            "`{}` is not a name, {complaint}: use small letters, digits and `-` within",
            text.escape_debug()
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Name {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by names be asked with a `&str`.
impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema(
            "A DNS label in lower case, up to 63 characters.",
            "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
        )
    }
}
