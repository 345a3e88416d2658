//! What two profiles answer differently.

use std::collections::BTreeMap;

use crate::{Line, Profile};

/// A line that differs. Evidence is not compared: it differs by its time alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the line.
    pub name: String,
    /// The line of the first profile, if it has one.
    pub first: Option<Line>,
    /// The line of the second.
    pub second: Option<Line>,
}

/// All lines with different answers, in the order of the first profile, then those that only the second has.
pub fn difference(first: &Profile, second: &Profile) -> Vec<Difference> {
    let mut others: BTreeMap<String, Line> =
        second.lines().into_iter().map(|line| (line.name.clone(), line)).collect();
    let mut differences = Vec::new();
    for line in first.lines() {
        let other = others.remove(&line.name);
        if other.as_ref().is_none_or(|other| other.answer != line.answer) {
            differences.push(Difference {
                name: line.name.clone(),
                first: Some(line),
                second: other,
            });
        }
    }
    let only_second = second.lines().into_iter().filter(|line| others.contains_key(&line.name));
    differences.extend(only_second.map(|line| Difference {
        name: line.name.clone(),
        first: None,
        second: Some(line),
    }));
    differences
}
