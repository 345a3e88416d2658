//! Where the checks put what they find.

use crate::objects::Entry;
use crate::position::{FieldPath, Part};
use crate::problem::Problem;

/// Problems that one report lists.
const MAX_PROBLEMS: usize = 1000;

/// All problems of a configuration.
pub(super) struct Report {
    problems: Vec<Problem>,
    more: usize,
}

impl Report {
    pub(super) const fn new() -> Self {
        Self { problems: Vec::new(), more: 0 }
    }

    /// The part of the report that is about one object.
    pub(super) const fn about<'r>(&'r mut self, entry: &'r Entry) -> About<'r> {
        About { report: self, entry }
    }

    pub(super) fn finish(mut self) -> Result<(), Vec<Problem>> {
        if self.problems.is_empty() {
            return Ok(());
        }
        self.problems.sort_by(|a, b| {
            (&a.file, a.position, &a.object).cmp(&(&b.file, b.position, &b.object))
        });
        if self.more > 0 {
            self.problems.push(Problem::new(format!("{} more problems are not shown", self.more)));
        }
        Err(self.problems)
    }
}

/// The part of a report that is about one object.
pub(super) struct About<'r> {
    report: &'r mut Report,
    entry: &'r Entry,
}

impl About<'_> {
    /// A field has a wrong value, or lacks one.
    pub(super) fn value(&mut self, path: FieldPath, problem: Problem) {
        self.add(&path, Part::Value, problem);
    }

    /// A field should not be there, or is wrong as a whole.
    pub(super) fn field(&mut self, path: FieldPath, problem: Problem) {
        self.add(&path, Part::Name, problem);
    }

    fn add(&mut self, path: &FieldPath, part: Part, problem: Problem) {
        if self.report.problems.len() < MAX_PROBLEMS {
            self.report.problems.push(self.entry.problem(path, part, problem));
        } else {
            self.report.more += 1;
        }
    }
}
