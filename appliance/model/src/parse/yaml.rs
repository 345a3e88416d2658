//! YAML events to nodes.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Entry, Node, Value};
use crate::position::Position;
use crate::problem::Problem;

/// No configuration object nests deeper, and what is deep is walked by recursion.
const NESTING_LIMIT: usize = 32;
/// Values that aliases may repeat in one document: enough for any honest use, too few for a bomb.
const ALIAS_LIMIT: usize = 100_000;

/// The documents of a text that have something in them. A document with an error in its syntax is left out and noted.
pub(super) fn documents<'t>(text: &'t str, problems: &mut Vec<Problem>) -> Vec<Node<'t>> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.flow_nesting_limit = NESTING_LIMIT;
    options.block_nesting_limit = NESTING_LIMIT;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut builder = Builder::default();
    loop {
        match parser.next() {
            Some(Ok((Event::DocumentStart(..), _))) => builder = Builder::default(),
            Some(Ok((Event::DocumentEnd, _))) => {
                problems.append(&mut builder.problems);
                documents.extend(builder.root.take().filter(|root| !root.is_null()));
            }
            Some(Ok((event, span))) => builder.take(event, &span),
            Some(Err(error)) => {
                problems.append(&mut builder.problems);
                problems.push(syntax_problem(&error));
                builder = Builder::default();
                // Nothing remains to be read, or it cannot be found: the error says enough.
                if !matches!(parser.proceed_next_document(), Ok(true)) {
                    break;
                }
            }
            None => break,
        }
    }
    documents
}

/// A collection that is still open.
enum Open<'t> {
    List { at: Position, anchor: usize, elements: Vec<Node<'t>> },
    Fields { at: Position, anchor: usize, entries: Vec<Entry<'t>>, name: Option<FieldName<'t>> },
}

/// A field's name, whose value is still to come.
enum FieldName<'t> {
    Word(Cow<'t, str>, Position),
    /// No word; its value is left out.
    Bad,
}

/// Builds the tree of one document.
#[derive(Default)]
struct Builder<'t> {
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, Node<'t>>,
    repeated: usize,
    root: Option<Node<'t>>,
    problems: Vec<Problem>,
}

impl<'t> Builder<'t> {
    fn take(&mut self, event: Event<'t>, span: &Span) {
        let at = position(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                let value = if style == ScalarStyle::Plain {
                    Value::Plain(text)
                } else {
                    Value::Quoted(text)
                };
                self.finish(Node { at, value }, anchor);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open.push(Open::List { at, anchor, elements: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.as_deref(), at);
                self.open.push(Open::Fields { at, anchor, entries: Vec::new(), name: None });
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { at, anchor, elements }) => {
                    self.finish(Node { at, value: Value::List(elements) }, anchor);
                }
                Some(Open::Fields { at, anchor, entries, .. }) => {
                    let entries = self.without_repetition(entries);
                    self.finish(Node { at, value: Value::Fields(entries) }, anchor);
                }
                None => {}
            },
            Event::Alias(anchor) => {
                let node = self.repeat(anchor, at);
                self.finish(node, 0);
            }
            _ => {}
        }
    }

    /// Puts a finished value where it belongs.
    fn finish(&mut self, node: Node<'t>, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { elements, .. }) => elements.push(node),
            Some(Open::Fields { entries, name, .. }) => match name.take() {
                Some(FieldName::Word(name, name_at)) => entries.push(Entry { name, name_at, node }),
                Some(FieldName::Bad) => {}
                None => match node.value {
                    Value::Plain(text) | Value::Quoted(text) => {
                        *name = Some(FieldName::Word(text, node.at))
                    }
                    _ => {
                        *name = Some(FieldName::Bad);
                        self.note(
                            node.at,
                            "a field's name must be a word, not a list or an object",
                        );
                    }
                },
            },
        }
    }

    /// A copy of the value that an alias names.
    fn repeat(&mut self, anchor: usize, at: Position) -> Node<'t> {
        let removed = Node { at, value: Value::Removed };
        let Some(node) = self.anchors.get(&anchor) else {
            self.note(at, "this alias is inside the value it repeats");
            return removed;
        };
        self.repeated += node.count();
        if self.repeated > ALIAS_LIMIT {
            self.note(
                at,
                format!("the aliases of this document repeat more than {ALIAS_LIMIT} values"),
            );
            // One note is enough; later aliases are empty too.
            self.anchors.clear();
            return removed;
        }
        node.clone()
    }

    /// The fields, each name once: the first one counts.
    fn without_repetition(&mut self, mut entries: Vec<Entry<'t>>) -> Vec<Entry<'t>> {
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_by(|&a, &b| entries[a].name.cmp(&entries[b].name).then(a.cmp(&b)));
        let mut repeated = vec![false; entries.len()];
        let mut first = 0;
        for &index in &order {
            if entries[index].name == entries[first].name && index != first {
                repeated[index] = true;
                let message =
                    format!("the field `{}` stands here twice", entries[index].name.escape_debug());
                let hint =
                    format!("remove this one or the one in line {}", entries[first].name_at.line);
                let position = Some(entries[index].name_at);
                self.problems.push(Problem { position, ..Problem::new(message).with_hint(hint) });
            } else {
                first = index;
            }
        }
        let mut kept = repeated.iter().map(|repeated| !repeated);
        entries.retain(|_| kept.next().unwrap_or(true));
        entries
    }

    /// Tags change what a word means; no field needs them.
    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Position) {
        if let Some(tag) = tag {
            let problem = Problem::new(format!(
                "the tag `{}{}` means nothing here",
                tag.original_handle(),
                tag.suffix()
            ));
            self.problems.push(Problem {
                position: Some(at),
                ..problem.with_hint("remove it; put text in quotes")
            });
        }
    }

    fn note(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem { position: Some(at), ..Problem::new(message) });
    }
}

fn position(span: &Span) -> Position {
    place(span.start.line(), span.start.col())
}

/// The parser counts columns from 0.
fn place(line: usize, column: usize) -> Position {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column).saturating_add(1) }
}

fn syntax_problem(error: &ScanError) -> Problem {
    let hint = match error.kind() {
        ErrorKind::ExpectedDocumentStart => Some("separate documents by a line `---`"),
        ErrorKind::RecursionLimitExceeded => Some("no object nests so deep"),
        ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabNotAllowed => Some("indent with spaces"),
        ErrorKind::MappingValueNotAllowed => Some(
            "text with `: ` in it, or with `:` at its end, must be in quotes; or the indentation is wrong",
        ),
        ErrorKind::UnknownAnchor => {
            Some("an anchor `&name` must come before the alias `*name`, in the same document")
        }
        _ => None,
    };
    Problem {
        position: Some(place(error.marker().line(), error.marker().col())),
        hint: hint.map(str::to_owned),
        ..Problem::new(format!("not valid YAML or JSON, {}", error.info()))
    }
}
