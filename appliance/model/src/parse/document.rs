//! One document to one object.

use std::sync::Arc;

use super::node::{Node, Value};
use super::recovery::{self, similar};
use super::{Parsed, Problem};
use crate::object::{Body, Kind, Object, Resource};
use crate::position::{Location, Position};
use crate::values::Name;

/// Reads a document. What is wrong is added to `problems`; then there is no object.
pub(super) fn read(
    mut root: Node<'_>,
    file: &Arc<str>,
    problems: &mut Vec<Problem>,
) -> Option<Parsed> {
    let fields = Arc::new(root.positions());
    let mut found = Vec::new();
    let kind = kind_of(&root, &mut found);
    let called = kind.map(|kind| name_in_messages(kind, &root));
    let object = kind.and_then(|kind| {
        take_kind_out(&mut root);
        match kind {
            Kind::Gateway => body(&mut root, &mut found).map(Object::Gateway),
            Kind::Service => body(&mut root, &mut found).map(Object::Service),
            Kind::Prefilter => body(&mut root, &mut found).map(Object::Prefilter),
        }
    });
    problems.extend(found.into_iter().map(|problem| Problem { object: called.clone(), ..problem }));
    object.map(|object| Parsed { object, location: Location { file: Arc::clone(file), fields } })
}

fn body<S: serde::de::DeserializeOwned>(
    root: &mut Node<'_>,
    problems: &mut Vec<Problem>,
) -> Option<Resource<S>> {
    recovery::read::<Body<S>>(root, problems).map(Resource::from)
}

/// The kind a document says it is.
fn kind_of(root: &Node<'_>, problems: &mut Vec<Problem>) -> Option<Kind> {
    let words = Kind::ALL.map(Kind::as_str);
    let mut refuse = |position: Position, field: Option<&str>, problem: Problem| {
        problems.push(Problem {
            position: Some(position),
            field: field.map(str::to_owned),
            ..problem
        });
        None
    };
    if !matches!(root.value, Value::Fields(_)) {
        let message = format!("expected an object, found {}", root.describe());
        return refuse(
            root.at,
            None,
            Problem::new(message).with_hint("a document begins with `kind: Service` or the like"),
        );
    }
    let Some(entry) = root.field("kind") else {
        let problem =
            Problem::new("this field is missing").with_hint("it is Gateway, Service or Prefilter");
        return refuse(root.at, Some("kind"), problem);
    };
    let word = entry.node.text().unwrap_or_default();
    if let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.as_str() == word) {
        return Some(kind);
    }
    let message =
        format!("expected Gateway, Service or Prefilter, found {}", entry.node.describe());
    let problem = Problem::new(message);
    let problem = match similar(word, &words) {
        Some(word) => problem.with_hint(format!("did you mean {word}?")),
        None => problem,
    };
    refuse(entry.node.at, Some("kind"), problem)
}

/// `Service/web`, or only `Service` when its name is no name.
fn name_in_messages(kind: Kind, root: &Node<'_>) -> String {
    let name = root.field("metadata").and_then(|metadata| metadata.node.field("name"));
    match name.and_then(|name| name.node.text()).map(Name::new) {
        Some(Ok(name)) => format!("{kind}/{name}"),
        _ => kind.to_string(),
    }
}

/// The body's type is chosen by the kind and does not repeat it.
fn take_kind_out(root: &mut Node<'_>) {
    if let Value::Fields(entries) = &mut root.value {
        entries.retain(|entry| entry.name != "kind");
    }
}
