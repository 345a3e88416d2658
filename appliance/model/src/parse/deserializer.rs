//! Reads a node into a type, and says where and why it does not fit.

use std::fmt::Display;

use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::node::{Entry, Node, Scalar, Value};

/// Why a value does not fit.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The way to the value: child numbers, innermost first while the error rises.
    pub(super) trail: Vec<usize>,
    pub(super) reason: Reason,
}

#[derive(Debug)]
pub(super) enum Reason {
    /// The value is of the wrong type; what was expected, in serde's words.
    Expected(String),
    /// The value is none of these words.
    ExpectedWord(&'static [&'static str]),
    /// The value's own type refused it.
    Refused(String),
    /// The object has no field of this name.
    UnknownField(String, &'static [&'static str]),
    /// The object lacks this field.
    MissingField(&'static str),
}

impl Misfit {
    fn new(reason: Reason) -> Self {
        Self { trail: Vec::new(), reason }
    }

    fn inside(mut self, child: usize) -> Self {
        self.trail.push(child);
        self
    }
}

impl Display for Misfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.reason)
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(Reason::Refused(message.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Expected(expected.to_string()))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::new(Reason::Expected(expected.to_string()))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::ExpectedWord(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::new(Reason::UnknownField(field.to_owned(), expected))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Reason::MissingField(field))
    }
}

impl<'de> Deserializer<'de> for &'de Node<'_> {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.value {
            Value::Quoted(text) => visitor.visit_borrowed_str(text),
            Value::Plain(word) => match Scalar::resolve(word) {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(value) => visitor.visit_bool(value),
                Scalar::Integer(number) => visitor.visit_i64(number),
                Scalar::Number(number) => visitor.visit_f64(number),
                Scalar::Text(text) => visitor.visit_borrowed_str(text),
            },
            Value::List(elements) => visitor.visit_seq(Elements { elements, next: 0 }),
            Value::Fields(entries) => visitor.visit_map(Fields { entries, nullable: &[], next: 0 }),
            Value::Removed => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.value {
            Value::Fields(entries) => {
                visitor.visit_map(Fields { entries, nullable: fields, next: 0 })
            }
            _ => Err(Misfit::new(Reason::Expected("an object".to_owned()))),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match self.text() {
            Some(word) => visitor.visit_enum(Word(word)),
            None => Err(Misfit::new(Reason::ExpectedWord(variants))),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier
    }
}

/// A list, without what was removed from it.
struct Elements<'n, 't> {
    elements: &'n [Node<'t>],
    next: usize,
}

impl<'de> SeqAccess<'de> for Elements<'de, '_> {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        while let Some(node) = self.elements.get(self.next) {
            let index = self.next;
            self.next += 1;
            if !matches!(node.value, Value::Removed) {
                return seed.deserialize(node).map(Some).map_err(|misfit| misfit.inside(index));
            }
        }
        Ok(None)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.elements.len() - self.next)
    }
}

/// The fields of an object, without what was removed, and without known fields that say nothing: `backends:` with no
/// value is the same as no `backends`.
struct Fields<'n, 't> {
    entries: &'n [Entry<'t>],
    nullable: &'static [&'static str],
    next: usize,
}

impl<'de> MapAccess<'de> for Fields<'de, '_> {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        while let Some(entry) = self.entries.get(self.next) {
            self.next += 1;
            let silent = self.nullable.contains(&entry.name.as_ref()) && entry.node.is_null();
            if !silent && !matches!(entry.node.value, Value::Removed) {
                return seed
                    .deserialize(de::value::BorrowedStrDeserializer::new(&entry.name))
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let index = self.next - 1;
        seed.deserialize(&self.entries[index].node).map_err(|misfit| misfit.inside(index))
    }
}

/// One word of an enumeration.
struct Word<'n>(&'n str);

impl<'de> EnumAccess<'de> for Word<'de> {
    type Error = Misfit;
    type Variant = WordOnly;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, WordOnly), Misfit> {
        let word = seed.deserialize(de::value::BorrowedStrDeserializer::new(self.0))?;
        Ok((word, WordOnly))
    }
}

/// Words have nothing inside.
struct WordOnly;

impl<'de> de::VariantAccess<'de> for WordOnly {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(Misfit::new(Reason::Expected("an object".to_owned())))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(Misfit::new(Reason::Expected("a list".to_owned())))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Misfit> {
        Err(Misfit::new(Reason::Expected("an object".to_owned())))
    }
}
