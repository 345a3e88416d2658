//! The difference of two sets of objects.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::object::{Metadata, Object, ObjectId, Resource};
use crate::objects::Objects;
use crate::position::FieldPath;
use crate::values::Prefix;

/// Lists that are longer are told by their length: a million prefixes help nobody.
const SHOWN_VALUES: usize = 32;

/// What must change to get from one set to another.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// Objects of the newer set only.
    pub added: Vec<ObjectId>,
    /// Objects of both that differ. A difference of `resourceVersion` alone is none.
    pub changed: Vec<Change>,
    /// Objects of the older set only.
    pub removed: Vec<ObjectId>,
}

/// An object that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Which.
    pub object: ObjectId,
    /// Its fields that differ.
    pub fields: Vec<FieldChange>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FieldChange {
    /// The way to it: `spec.backends[2].weight`. Indices are those of the newer object; of the older one for what is
    /// gone.
    pub field: String,
    /// The older value; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The newer value; absent if there is none. A long list stands here, and in `before`, as its length.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl Diff {
    /// Whether the sets are equal.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }

    pub(crate) fn between(older: &Objects, newer: &Objects) -> Self {
        let mut diff = Self::default();
        for (id, before, after) in older.beside(newer) {
            match (before, after) {
                (Some(before), Some(after)) => {
                    let fields = changed_fields(&before.object, &after.object);
                    if !fields.is_empty() {
                        diff.changed.push(Change { object: id.clone(), fields });
                    }
                }
                (None, _) => diff.added.push(id.clone()),
                (_, None) => diff.removed.push(id.clone()),
            }
        }
        diff
    }
}

/// The fields in which two objects of one kind and name differ.
fn changed_fields(before: &Object, after: &Object) -> Vec<FieldChange> {
    let mut changes = Changes(Vec::new());
    if std::ptr::eq(before, after) {
        return changes.0;
    }
    match (before, after) {
        (Object::Gateway(before), Object::Gateway(after)) => changes.resources(before, after),
        (Object::Service(before), Object::Service(after)) => changes.resources(before, after),
        (Object::Prefilter(before), Object::Prefilter(after)) => {
            changes.metadata(&before.metadata, &after.metadata);
            changes.prefixes("deny", &before.spec.deny, &after.spec.deny);
            changes.prefixes("allow", &before.spec.allow, &after.spec.allow);
        }
        _ => {}
    }
    changes.0
}

struct Changes(Vec<FieldChange>);

impl Changes {
    fn resources<S: Serialize + PartialEq>(&mut self, before: &Resource<S>, after: &Resource<S>) {
        self.metadata(&before.metadata, &after.metadata);
        if before.spec != after.spec {
            self.values(&FieldPath::root().field("spec"), &json(&before.spec), &json(&after.spec));
        }
    }

    fn metadata(&mut self, before: &Metadata, after: &Metadata) {
        let path = FieldPath::root().field("metadata").field("labels");
        self.values(&path, &json(&before.labels), &json(&after.labels));
    }

    /// Prefixes are compared as they are: a million of them as JSON would take a gigabyte.
    fn prefixes(&mut self, list: &'static str, before: &[Prefix], after: &[Prefix]) {
        if before != after {
            let shown = |prefixes: &[Prefix]| {
                if prefixes.len() > SHOWN_VALUES { length(prefixes.len()) } else { json(&prefixes) }
            };
            self.push(&FieldPath::spec(list), Some(shown(before)), Some(shown(after)));
        }
    }

    fn values(&mut self, path: &FieldPath, before: &Value, after: &Value) {
        match (before, after) {
            _ if before == after => {}
            (Value::Object(before), Value::Object(after)) => {
                for (name, value) in before {
                    let path = path.clone().field(name.clone());
                    match after.get(name) {
                        Some(newer) => self.values(&path, value, newer),
                        None => self.push(&path, Some(value.clone()), None),
                    }
                }
                for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                    self.push(&path.clone().field(name.clone()), None, Some(value.clone()));
                }
            }
            (Value::Array(before), Value::Array(after))
                if before.iter().chain(after).all(Value::is_object) =>
            {
                self.elements(path, before, after);
            }
            _ => self.push(path, Some(shown(before)), Some(shown(after))),
        }
    }

    /// Lists of objects: an element is the same one if it says who it is in the same words. Where that is not clear, or
    /// the elements stand in another order, the whole list is the difference.
    fn elements(&mut self, path: &FieldPath, before: &[Value], after: &[Value]) {
        let older: HashMap<_, _> = before.iter().map(|value| (identity(value), value)).collect();
        let newer: HashMap<_, _> = after.iter().map(|value| (identity(value), value)).collect();
        let unique = older.len() == before.len() && newer.len() == after.len();
        let kept = before.iter().map(identity).filter(|element| newer.contains_key(element));
        if !unique
            || !kept.eq(after.iter().map(identity).filter(|element| older.contains_key(element)))
        {
            return self.push(path, Some(shown_list(before)), Some(shown_list(after)));
        }
        for (index, value) in after.iter().enumerate() {
            let path = path.clone().index(index);
            match older.get(&identity(value)) {
                Some(before) => self.values(&path, before, value),
                None => self.push(&path, None, Some(value.clone())),
            }
        }
        for (index, value) in before.iter().enumerate() {
            if !newer.contains_key(&identity(value)) {
                self.push(&path.clone().index(index), Some(value.clone()), None);
            }
        }
    }

    fn push(&mut self, path: &FieldPath, before: Option<Value>, after: Option<Value>) {
        self.0.push(FieldChange { field: path.to_string(), before, after });
    }
}

/// Who an element of a list is: its name, or its address and port.
pub(crate) fn identity(element: &Value) -> (Option<&str>, Option<&str>, Option<u64>) {
    (
        element.get("name").and_then(Value::as_str),
        element.get("address").and_then(Value::as_str),
        element.get("port").and_then(Value::as_u64),
    )
}

/// A value of an object as JSON.
fn json<T: Serialize>(value: &T) -> Value {
    // The objects have string keys and finite numbers only, so that there is nothing that JSON cannot hold.
    serde_json::to_value(value).unwrap_or_default()
}

fn shown(value: &Value) -> Value {
    if let Value::Array(values) = value { shown_list(values) } else { value.clone() }
}

fn shown_list(values: &[Value]) -> Value {
    if values.len() > SHOWN_VALUES { length(values.len()) } else { Value::Array(values.to_vec()) }
}

fn length(count: usize) -> Value {
    Value::String(format!("{count} values"))
}
