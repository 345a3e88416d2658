//! Names of network interfaces.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use super::{ValueError, string_schema};
use crate::limits::LINK_NAME_LENGTH;

/// The name of a network interface, as the kernel accepts it (`dev_valid_name`): up to 15 bytes, no `/`, no `:`, no
/// white space, neither `.` nor `..`. Control characters are refused too: no message shall hide one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkName(String);

impl LinkName {
    /// Reads a link's name.
    ///
    /// # Errors
    /// When the kernel could not have a link of that name.
    pub fn new(text: impl Into<String>) -> Result<Self, ValueError> {
        let text = text.into();
        let complaint = if text.is_empty() {
            "it is empty".to_owned()
        } else if text.len() > LINK_NAME_LENGTH {
            format!("it has {} bytes, the kernel allows {LINK_NAME_LENGTH}", text.len())
        } else if let Some(bad) =
            text.chars().find(|c| matches!(c, '/' | ':') || c.is_whitespace() || c.is_control())
        {
            format!("`{}` is not allowed", bad.escape_default())
        } else if text == "." || text == ".." {
            "the kernel reserves it".to_owned()
        } else {
            return Ok(Self(text));
        };
        Err(ValueError::new(format!(
            "`{}` is not the name of a link, {complaint}: expected a name as in `ip link`",
            text.escape_debug()
        )))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for LinkName {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::new(text)
    }
}

impl TryFrom<String> for LinkName {
    type Error = ValueError;

    fn try_from(text: String) -> Result<Self, ValueError> {
        Self::new(text)
    }
}

impl From<LinkName> for String {
    fn from(name: LinkName) -> Self {
        name.0
    }
}

impl AsRef<str> for LinkName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// Lets a map keyed by link names be asked with a `&str`.
impl Borrow<str> for LinkName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for LinkName {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for LinkName {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl JsonSchema for LinkName {
    fn schema_name() -> Cow<'static, str> {
        "LinkName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        string_schema("The name of a network interface, as in `ip link`.", r"^[^/:\s]{1,15}$")
    }
}
