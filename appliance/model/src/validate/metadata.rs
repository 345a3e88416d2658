//! Labels.

use super::report::Report;
use crate::limits;
use crate::objects::Objects;
use crate::position::FieldPath;
use crate::problem::Problem;

pub(super) fn check(objects: &Objects, report: &mut Report) {
    for (_, entry) in objects.iter() {
        let mut about = report.about(entry);
        let labels = &entry.object.metadata().labels;
        let path = || FieldPath::root().field("metadata").field("labels");
        if labels.len() > limits::LABELS {
            let message = format!(
                "there are {} labels, at most {} are allowed",
                labels.len(),
                limits::LABELS
            );
            about.field(path(), Problem::new(message));
        }
        for (key, value) in labels {
            if key.is_empty() {
                about
                    .field(path().field(key.clone()), Problem::new("the name of a label is empty"));
            }
            for (what, text) in [("name", key), ("value", value)] {
                if text.len() > limits::LABEL_LENGTH {
                    let message = format!(
                        "the {what} of this label has {} bytes, at most {} are allowed",
                        text.len(),
                        limits::LABEL_LENGTH
                    );
                    about.field(path().field(key.clone()), Problem::new(message));
                }
            }
        }
    }
}
