//! Reads a node until nothing new is wrong. serde stops at the first error; so what is wrong is taken out of the
//! tree, what is missing is put in, and the reading starts again.

use serde::Deserialize;

use super::deserializer::{Misfit, Reason};
use super::node::{Entry, Node, Value};
use crate::position::{FieldPath, Position, Segment};
use crate::problem::Problem;

/// Readings that one object gets.
const MAX_READINGS: usize = 100;
/// Values that all readings of one object may visit: a list of a million bad prefixes is not read a hundred times.
const MAX_VISITS: usize = 20_000_000;

/// Required fields: what they are in, their name, and a value of the right form. The value is shown as an example, and
/// stands in for a missing field so that the rest of the object can be read.
const REQUIRED: [(&str, &str, Example); 13] = [
    ("", "metadata", Example::Field("name", "web")),
    ("", "spec", Example::Nothing),
    ("metadata", "name", Example::Word("web")),
    ("links", "name", Example::Word("eth0")),
    ("placements", "stage", Example::Word("prefilter")),
    ("placements", "placement", Example::Word("nic-xdp")),
    ("natPools", "name", Example::Word("default")),
    ("natPools", "addresses", Example::List("10.0.1.250")),
    ("spec", "address", Example::Word("192.0.2.10")),
    ("spec", "protocol", Example::Word("TCP")),
    ("spec", "port", Example::Word("80")),
    ("spec", "mode", Example::Word("dsr")),
    ("backends", "address", Example::Word("10.0.1.1")),
];

#[derive(Clone, Copy)]
enum Example {
    Word(&'static str),
    List(&'static str),
    Field(&'static str, &'static str),
    Nothing,
}

/// The entry of [`REQUIRED`] for a field of what `owner` leads to.
fn example(owner: &FieldPath, name: &str) -> Option<Example> {
    let owner = owner.segments().iter().rev().find_map(|segment| match segment {
        Segment::Field(name) => Some(name.as_ref()),
        Segment::Index(_) => None,
    });
    let found = |(parent, field, _): &&(&str, &str, Example)| {
        *parent == owner.unwrap_or("") && *field == name
    };
    REQUIRED.iter().find(found).map(|(_, _, example)| *example)
}

/// Reads `root`, noting all that is wrong. `None` when something was.
pub(super) fn read<T: for<'de> Deserialize<'de>>(
    root: &mut Node<'_>,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let readings = (MAX_VISITS / root.count()).clamp(3, MAX_READINGS);
    let before = problems.len();
    for _ in 0..readings {
        match T::deserialize(&*root) {
            Ok(value) => return (problems.len() == before).then_some(value),
            Err(misfit) => repair(root, misfit, problems)?,
        }
    }
    let position = problems.last().and_then(|problem| problem.position);
    let rest = Problem::new("this object has more problems than are shown")
        .with_hint("correct these first");
    problems.push(Problem { position, ..rest });
    None
}

/// Notes a misfit and changes the tree so that it does not occur again. `None` when that cannot be done.
fn repair(root: &mut Node<'_>, misfit: Misfit, problems: &mut Vec<Problem>) -> Option<()> {
    let trail: Vec<usize> = misfit.trail.into_iter().rev().collect();
    let (node, path) = root.follow(&trail);
    match misfit.reason {
        Reason::UnknownField(name, known) => {
            let index = node.fields().iter().position(|entry| {
                entry.name == name && !matches!(entry.node.value, Value::Removed)
            })?;
            let meant = similar(&name, known).filter(|meant| node.field(meant).is_none());
            note(
                node.fields()[index].name_at,
                path.field(name.clone()),
                unknown_field(&name, known),
                problems,
            );
            root.follow_mut(&trail)?.remove_field(index, meant);
        }
        Reason::MissingField(name) => {
            let example = example(&path, name).unwrap_or(Example::Nothing);
            match node.field(name) {
                // It was there and was wrong: that is already noted.
                Some(entry) if matches!(entry.node.value, Value::Removed) => {}
                Some(entry) => note(
                    entry.name_at,
                    path.field(name),
                    missing("is empty", name, example),
                    problems,
                ),
                None => {
                    let at = owner_position(root, &trail);
                    note(at, path.field(name), missing("is missing", name, example), problems);
                }
            }
            root.follow_mut(&trail)?.supply_field(name, example)?;
        }
        Reason::Expected(expected) => {
            let expected = in_words(&expected);
            let mut problem =
                Problem::new(format!("expected {expected}, found {}", node.describe()));
            if expected == "a string" && matches!(node.value, Value::Plain(_)) && !node.is_null() {
                problem = problem.with_hint("put it in quotes");
            }
            note(node.at, path, problem, problems);
            remove(root, &trail)?;
        }
        Reason::ExpectedWord(words) => {
            let list = alternatives(words);
            let problem = Problem::new(format!("expected {list}, found {}", node.describe()));
            let problem = match node.text().and_then(|text| similar(text, words)) {
                Some(word) if words.len() > 1 => problem.with_hint(format!("did you mean {word}?")),
                _ => problem,
            };
            note(node.at, path, problem, problems);
            remove(root, &trail)?;
        }
        Reason::Refused(message) => {
            note(node.at, path, Problem::new(message), problems);
            remove(root, &trail)?;
        }
    }
    Some(())
}

fn note(at: Position, path: FieldPath, problem: Problem, problems: &mut Vec<Problem>) {
    let field = (!path.is_root()).then(|| path.to_string());
    problems.push(Problem { position: Some(at), field, ..problem });
}

fn unknown_field(name: &str, known: &[&str]) -> Problem {
    let hint = match similar(name, known) {
        Some(word) => format!("did you mean {word}?"),
        None if name == "<<" => "merge keys are not supported, write the fields".to_owned(),
        None => format!("expected {}", alternatives(known)),
    };
    Problem::new("there is no such field").with_hint(hint)
}

fn missing(what: &str, name: &str, example: Example) -> Problem {
    let hint = match example {
        Example::Word(word) => format!("for example `{name}: {word}`"),
        Example::List(word) => format!("for example `{name}: [{word}]`"),
        Example::Field(field, word) => format!("for example `{name}: {{{field}: {word}}}`"),
        Example::Nothing => "it says what is wanted".to_owned(),
    };
    Problem::new(format!("this field {what}")).with_hint(hint)
}

/// Where an object with a missing field stands: at its own name if it has one.
fn owner_position(root: &Node<'_>, trail: &[usize]) -> Position {
    let Some((&last, parents)) = trail.split_last() else { return root.at };
    match &root.follow(parents).0.value {
        Value::Fields(entries) => entries[last].name_at,
        Value::List(elements) => elements[last].at,
        _ => root.at,
    }
}

/// Takes a value out of the tree. The root cannot be taken out.
fn remove(root: &mut Node<'_>, trail: &[usize]) -> Option<()> {
    if trail.is_empty() {
        return None;
    }
    root.follow_mut(trail)?.value = Value::Removed;
    Some(())
}

impl Node<'_> {
    /// Takes out a field. If its name is a slip, the field that was meant is wrong, not missing.
    fn remove_field(&mut self, index: usize, meant: Option<&'static str>) {
        if let Value::Fields(entries) = &mut self.value {
            let entry = &mut entries[index];
            entry.node.value = Value::Removed;
            if let Some(meant) = meant {
                entry.name = meant.into();
            }
        }
    }

    /// Puts the example in the place of a missing field.
    fn supply_field(&mut self, name: &'static str, example: Example) -> Option<()> {
        let at = self.at;
        let word = |word: &'static str| Node { at, value: Value::Plain(word.into()) };
        let value = match example {
            Example::Word(text) => word(text).value,
            Example::List(text) => Value::List(vec![word(text)]),
            Example::Field(field, text) => {
                Value::Fields(vec![Entry { name: field.into(), name_at: at, node: word(text) }])
            }
            Example::Nothing => return None,
        };
        let Value::Fields(entries) = &mut self.value else { return None };
        entries.retain(|entry| entry.name != name || !matches!(entry.node.value, Value::Removed));
        entries.push(Entry { name: name.into(), name_at: at, node: Node { at, value } });
        Some(())
    }
}

/// serde's words for what it expected, in ours.
fn in_words(expected: &str) -> String {
    match expected {
        "u8" => format!("a whole number from 0 to {}", u8::MAX),
        "u16" => format!("a whole number from 0 to {}", u16::MAX),
        "u32" => format!("a whole number from 0 to {}", u32::MAX),
        "u64" | "i64" => "a whole number".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        other => other.to_owned(),
    }
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [only] => (*only).to_owned(),
        [start @ .., last] => format!("{} or {last}", start.join(", ")),
    }
}

/// The word that was probably meant.
pub(super) fn similar<'w>(text: &str, words: &[&'w str]) -> Option<&'w str> {
    let distance = |word: &str| strsim::osa_distance(&text.to_lowercase(), &word.to_lowercase());
    words
        .iter()
        .map(|word| (distance(word), *word))
        .filter(|(distance, word)| *distance <= 2 && *distance * 2 < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}
