//! Rates over time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::series::Step;

/// Rates over time, all at the same moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesAnswer {
    /// How far apart the values are.
    pub step: Step,
    /// When the first value was measured, in seconds since 1970.
    pub begin: i64,
    /// The series, in the order of their names.
    pub series: Vec<SeriesValues>,
}

/// One series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesValues {
    /// Its name: `traffic/sent/packets`, `service/web/bytes`, `drop/denied/packets`.
    pub name: String,
    /// By second; `null` where nothing was measured.
    pub values: Vec<Option<f32>>,
}

/// The series that there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SeriesNames {
    /// Their names, sorted.
    pub names: Vec<String>,
}
