//! Errors as problem details (RFC 9457).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sluice_model::Problem;

use super::{Conflict, Warning};

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemDetails {
    /// The kind of problem, for programs: `/problems/invalid`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The same in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened and the way out, in a sentence.
    pub detail: String,
    /// Everything that is wrong with the objects of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<ProblemItem>,
}

/// One thing that is wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProblemItem {
    /// The file, as the request called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line in it, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The column, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The object: `Service/web`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// The field: `spec.backends[2].port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What is wrong and what was expected.
    pub message: String,
    /// The way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// All of it in one line, as a compiler would print it.
    pub text: String,
}

impl From<&Problem> for ProblemItem {
    fn from(problem: &Problem) -> Self {
        Self {
            file: problem.file.clone(),
            line: problem.line(),
            column: problem.column(),
            object: problem.object.clone(),
            field: problem.field.clone(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
            text: problem.to_string(),
        }
    }
}

impl ProblemItem {
    fn of(object: String, field: &str, message: String) -> Self {
        let field = (!field.is_empty()).then(|| field.to_owned());
        let place = field.as_ref().map_or(String::new(), |field| format!("{field}: "));
        let text = format!("{object}: {place}{message}");
        let object = Some(object);
        Self { file: None, line: None, column: None, object, field, message, hint: None, text }
    }
}

impl From<&Conflict> for ProblemItem {
    fn from(conflict: &Conflict) -> Self {
        let shown = |value: &Option<serde_json::Value>| {
            value.as_ref().map_or("nothing".to_owned(), ToString::to_string)
        };
        let (base, mine) = (shown(&conflict.base), shown(&conflict.mine));
        let theirs = shown(&conflict.theirs);
        let who = match conflict.with.as_str() {
            "running" => "what is in force".to_owned(),
            editor => format!("the candidate of {editor}"),
        };
        let message = format!("was {base}; this candidate says {mine}, {who} says {theirs}");
        Self::of(conflict.object.to_string(), &conflict.field, message)
    }
}

impl From<&Warning> for ProblemItem {
    fn from(warning: &Warning) -> Self {
        Self::of(warning.object.clone(), &warning.field, warning.message.clone())
    }
}
