//! Source prefixes that are dropped or let through before anything else.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::values::Prefix;

/// `spec` of a `Prefilter`. The longest match over all prefilters decides; a source that matches nothing passes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PrefilterSpec {
    /// Sources whose packets are dropped.
    pub deny: Vec<Prefix>,
    /// Sources whose packets pass, in spite of a shorter denied prefix.
    pub allow: Vec<Prefix>,
}
