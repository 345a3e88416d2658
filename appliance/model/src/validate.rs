//! What no single field can tell: contradictions inside an object and between objects.

mod address;
mod backends;
mod change;
mod gateway;
mod health;
mod metadata;
mod placement;
mod ports;
mod prefilter;
mod prefixes;
mod report;
mod service;

use crate::objects::Objects;
use crate::problem::Problem;
use report::Report;

/// Checks a whole configuration.
///
/// # Errors
/// Everything that is wrong, in the order of the files, each with its object, its field and, for objects that were
/// read from a text, its place. Beyond a thousand problems only their number is told.
pub fn validate(objects: &Objects) -> Result<(), Vec<Problem>> {
    let mut report = Report::new();
    metadata::check(objects, &mut report);
    gateway::check(objects, &mut report);
    service::check(objects, &mut report);
    ports::check(objects, &mut report);
    backends::check(objects, &mut report);
    prefilter::check(objects, &mut report);
    report.finish()
}

/// Checks what a valid configuration becomes. What did not change is looked at only where what changed meets it.
///
/// # Errors
/// Those of [`validate()`] for `after`.
pub fn validate_change(before: &Objects, after: &Objects) -> Result<(), Vec<Problem>> {
    if change::is_surely_valid(before, after) { Ok(()) } else { validate(after) }
}
