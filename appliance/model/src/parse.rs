//! Text to objects. YAML is read in one pass into nodes that know their place; JSON is read as the YAML it is (YAML 1.2
//! contains it). Each document is then read into its type; what is wrong is noted and left out, and the reading
//! starts again, so that one run finds everything.

mod deserializer;
mod document;
mod node;
mod recovery;
mod yaml;

use std::sync::Arc;

use crate::object::Object;
use crate::position::Location;
use crate::problem::Problem;

/// An object and where it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The object.
    pub object: Object,
    /// File, and the places of all fields.
    pub location: Location,
}

/// Reads all objects of a text: YAML, one document or many, or JSON. `file` is what problems call the text.
///
/// This finds what is wrong with single fields. [`validate`](crate::validate()) finds contradictions between them.
///
/// # Errors
/// Everything that is wrong, in the order of the text. Then no object is returned: half a file is not what was meant.
pub fn parse(file: &str, text: &str) -> Result<Vec<Parsed>, Vec<Problem>> {
    let file: Arc<str> = file.into();
    let mut problems = Vec::new();
    let mut parsed = Vec::new();
    for root in yaml::documents(text, &mut problems) {
        parsed.extend(document::read(root, &file, &mut problems));
    }
    if problems.is_empty() {
        return Ok(parsed);
    }
    for problem in &mut problems {
        problem.file = Some(file.to_string());
    }
    problems.sort_by_key(|problem| problem.position);
    Err(problems)
}
