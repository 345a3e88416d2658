//! A document as a tree of values that know their place.

use std::borrow::Cow;

use crate::position::{Children, FieldPath, FieldPositions, Position};

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node<'t> {
    pub(super) at: Position,
    pub(super) value: Value<'t>,
}

#[derive(Clone, Debug)]
pub(super) enum Value<'t> {
    /// Text in quotes, or a block of text.
    Quoted(Cow<'t, str>),
    /// A bare word: what it means is for [`Scalar::resolve`] to say.
    Plain(Cow<'t, str>),
    /// A list.
    List(Vec<Node<'t>>),
    /// An object.
    Fields(Vec<Entry<'t>>),
    /// What was here was wrong; the problem is noted.
    Removed,
}

/// A field of an object.
#[derive(Clone, Debug)]
pub(super) struct Entry<'t> {
    pub(super) name: Cow<'t, str>,
    pub(super) name_at: Position,
    pub(super) node: Node<'t>,
}

/// What a bare word means: the core schema of YAML 1.2 (section 10.3.2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'n> {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is no `i64`.
    Number(f64),
    Text(&'n str),
}

impl<'n> Scalar<'n> {
    pub(super) fn resolve(word: &'n str) -> Self {
        match word {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        let (negative, unsigned) = match word.as_bytes() {
            [b'-', ..] => (true, &word[1..]),
            [b'+', ..] => (false, &word[1..]),
            _ => (false, word),
        };
        let radix = |prefix, radix| {
            let digits = word
                .strip_prefix(prefix)
                .filter(|digits| digits.chars().all(|c| c.is_digit(radix)))?;
            i64::from_str_radix(digits, radix).ok().map(Self::Integer)
        };
        if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
            return word.parse().map_or_else(|_| Self::Number(f64::INFINITY), Self::Integer);
        }
        if let Some(integer) = radix("0x", 16).or_else(|| radix("0o", 8)) {
            return integer;
        }
        if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
            return Self::Number(if negative { f64::NEG_INFINITY } else { f64::INFINITY });
        }
        if matches!(word, ".nan" | ".NaN" | ".NAN") {
            return Self::Number(f64::NAN);
        }
        // Rust reads words such as `inf` too, which are text here.
        let numeric = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            && unsigned
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
        match word.parse() {
            Ok(number) if numeric => Self::Number(number),
            _ => Self::Text(word),
        }
    }
}

impl<'t> Node<'t> {
    /// Whether nothing stands here.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Plain(word) if Scalar::resolve(word) == Scalar::Null)
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Quoted(text) => Some(text),
            Value::Plain(word) => match Scalar::resolve(word) {
                Scalar::Text(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The fields, if it is an object; else none.
    pub(super) fn fields(&self) -> &[Entry<'t>] {
        if let Value::Fields(fields) = &self.value { fields } else { &[] }
    }

    /// The field of this name, if there is one.
    pub(super) fn field(&self, name: &str) -> Option<&Entry<'t>> {
        self.fields().iter().find(|entry| entry.name == name)
    }

    /// The number of values in it, itself included.
    pub(super) fn count(&self) -> usize {
        1 + match &self.value {
            Value::List(elements) => elements.iter().map(Self::count).sum(),
            Value::Fields(fields) => fields.iter().map(|entry| entry.node.count()).sum(),
            _ => 0,
        }
    }

    /// What stands here, for a message.
    pub(super) fn describe(&self) -> String {
        match &self.value {
            Value::Quoted(text) => format!("the text {}", quote(text)),
            Value::Plain(word) => match Scalar::resolve(word) {
                Scalar::Null => "nothing".to_owned(),
                Scalar::Bool(value) => format!("`{value}`"),
                Scalar::Integer(_) | Scalar::Number(_) => format!("the number {}", shorten(word)),
                Scalar::Text(text) => format!("the text {}", quote(text)),
            },
            Value::List(_) => "a list".to_owned(),
            Value::Fields(_) => "an object".to_owned(),
            Value::Removed => "nothing".to_owned(),
        }
    }

    /// The value that `trail` (child numbers from here on) leads to, with its path.
    pub(super) fn follow(&self, trail: &[usize]) -> (&Self, FieldPath) {
        let mut node = self;
        let mut path = FieldPath::root();
        for &step in trail {
            match &node.value {
                Value::List(elements) => {
                    path = path.index(step);
                    node = &elements[step];
                }
                Value::Fields(fields) => {
                    path = path.field(fields[step].name.to_string());
                    node = &fields[step].node;
                }
                _ => break,
            }
        }
        (node, path)
    }

    /// The same, to be changed; `None` if the trail leads nowhere.
    pub(super) fn follow_mut(&mut self, trail: &[usize]) -> Option<&mut Self> {
        let mut node = self;
        for &step in trail {
            node = match &mut node.value {
                Value::List(elements) => elements.get_mut(step)?,
                Value::Fields(fields) => &mut fields.get_mut(step)?.node,
                _ => return None,
            };
        }
        Some(node)
    }

    /// The places of everything in it.
    pub(super) fn positions(&self) -> FieldPositions {
        let children = match &self.value {
            Value::List(elements) => {
                let all: Vec<_> = elements.iter().map(Self::positions).collect();
                if all.iter().all(|element| element.children == Children::None) {
                    Children::Leaves(all.iter().map(|element| element.at).collect())
                } else {
                    Children::List(all)
                }
            }
            Value::Fields(fields) => Children::Fields(
                fields
                    .iter()
                    .map(|entry| {
                        (entry.name.as_ref().into(), entry.name_at, entry.node.positions())
                    })
                    .collect(),
            ),
            _ => Children::None,
        };
        FieldPositions { at: self.at, children }
    }
}

/// A text for a message: short, without line breaks.
fn quote(text: &str) -> String {
    format!("`{}`", shorten(text))
}

fn shorten(text: &str) -> String {
    const LENGTH: usize = 60;
    let start: String = text.chars().take(LENGTH).flat_map(char::escape_debug).collect();
    if text.chars().nth(LENGTH).is_some() { format!("{start}...") } else { start }
}

#[cfg(test)]
mod tests {
    use super::Scalar::{self, Bool, Integer, Null, Number, Text};

    /// The examples of YAML 1.2.2, section 10.3.2, and words of YAML 1.1 that are text now.
    #[test]
    fn bare_words_have_the_meaning_of_the_core_schema() {
        let cases = [
            ("", Null),
            ("~", Null),
            ("null", Null),
            ("Null", Null),
            ("nULL", Text("nULL")),
            ("true", Bool(true)),
            ("False", Bool(false)),
            ("yes", Text("yes")),
            ("off", Text("off")),
            ("0", Integer(0)),
            ("-19", Integer(-19)),
            ("+12", Integer(12)),
            ("0o7", Integer(7)),
            ("0x3A", Integer(0x3a)),
            ("010", Integer(10)),
            ("0x", Text("0x")),
            ("-", Text("-")),
            ("9223372036854775808", Number(f64::INFINITY)),
            ("0.", Number(0.0)),
            ("-0.0", Number(0.0)),
            (".5", Number(0.5)),
            ("+12e03", Number(12000.0)),
            ("-2E+05", Number(-200_000.0)),
            (".inf", Number(f64::INFINITY)),
            ("-.Inf", Number(f64::NEG_INFINITY)),
            ("inf", Text("inf")),
            ("nan", Text("nan")),
            ("1.2.3", Text("1.2.3")),
            ("10.0.0.1", Text("10.0.0.1")),
            ("1e", Text("1e")),
            ("8000-8100", Text("8000-8100")),
            ("::1", Text("::1")),
        ];
        for (word, meaning) in cases {
            assert_eq!(Scalar::resolve(word), meaning, "{word:?}");
        }
        assert!(matches!(Scalar::resolve(".NaN"), Number(number) if number.is_nan()));
    }
}
