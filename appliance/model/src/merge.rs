//! Two changes of one thing, put together field by field.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::diff::identity;
use crate::position::FieldPath;

/// A field that two changed to different values.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldConflict {
    /// The way to it: `spec.backends[2].weight`. Indices are those of the first one's value.
    pub field: String,
    /// What it was; absent if there was nothing.
    pub base: Option<Value>,
    /// What the first makes of it.
    pub mine: Option<Value>,
    /// What the other makes of it.
    pub theirs: Option<Value>,
}

/// What both changes make of `base`, and where they contradict each other; there `mine` stands.
///
/// Lists of objects are put together by element, as [`Diff`](crate::Diff) compares them; lists of different words as
/// sets. Other lists are one value.
#[must_use]
pub fn merge(base: &Value, mine: &Value, theirs: &Value) -> (Value, Vec<FieldConflict>) {
    let mut merge = Merge(Vec::new());
    let merged = merge.values(&FieldPath::root(), Some(base), Some(mine), Some(theirs));
    (merged.unwrap_or_default(), merge.0)
}

struct Merge(Vec<FieldConflict>);

impl Merge {
    fn values(
        &mut self,
        path: &FieldPath,
        base: Option<&Value>,
        mine: Option<&Value>,
        theirs: Option<&Value>,
    ) -> Option<Value> {
        if mine == theirs || theirs == base {
            return mine.cloned();
        }
        if mine == base {
            return theirs.cloned();
        }
        let empty = Value::Object(Map::new());
        match (base.unwrap_or(&empty), mine, theirs) {
            (Value::Object(base), Some(Value::Object(mine)), Some(Value::Object(theirs))) => {
                Some(Value::Object(self.fields(path, base, mine, theirs)))
            }
            (Value::Array(base), Some(Value::Array(mine)), Some(Value::Array(theirs))) => {
                let merged = self
                    .elements(path, base, mine, theirs)
                    .or_else(|| words(base, mine, theirs))
                    .unwrap_or_else(|| {
                        self.conflict(path, base, mine, theirs);
                        mine.clone()
                    });
                Some(Value::Array(merged))
            }
            _ => {
                self.0.push(FieldConflict {
                    field: path.to_string(),
                    base: base.cloned(),
                    mine: mine.cloned(),
                    theirs: theirs.cloned(),
                });
                mine.cloned()
            }
        }
    }

    fn fields(
        &mut self,
        path: &FieldPath,
        base: &Map<String, Value>,
        mine: &Map<String, Value>,
        theirs: &Map<String, Value>,
    ) -> Map<String, Value> {
        let mut merged = Map::new();
        let others = theirs.keys().filter(|name| !mine.contains_key(*name));
        let gone =
            base.keys().filter(|name| !mine.contains_key(*name) && !theirs.contains_key(*name));
        for name in mine.keys().chain(others).chain(gone) {
            let path = path.clone().field(name.clone());
            let value = self.values(&path, base.get(name), mine.get(name), theirs.get(name));
            if let Some(value) = value {
                merged.insert(name.clone(), value);
            }
        }
        merged
    }

    /// Lists of objects that say who they are; `None` if these are not.
    fn elements(
        &mut self,
        path: &FieldPath,
        base: &[Value],
        mine: &[Value],
        theirs: &[Value],
    ) -> Option<Vec<Value>> {
        let lists = [base, mine, theirs];
        if !lists.iter().all(|list| list.iter().all(Value::is_object)) {
            return None;
        }
        let by_identity = |list: &[Value]| -> Option<HashMap<_, _>> {
            let found: HashMap<_, _> =
                list.iter().map(|value| (owned(identity(value)), value.clone())).collect();
            (found.len() == list.len()).then_some(found)
        };
        let (older, ours, others) = (by_identity(base)?, by_identity(mine)?, by_identity(theirs)?);
        let mut merged = Vec::new();
        let new_theirs = theirs.iter().filter(|value| !ours.contains_key(&owned(identity(value))));
        for (index, value) in mine.iter().chain(new_theirs).enumerate() {
            let who = owned(identity(value));
            let path = path.clone().index(index);
            let (base, theirs) = (older.get(&who), others.get(&who));
            merged.extend(self.values(&path, base, ours.get(&who), theirs));
        }
        Some(merged)
    }

    fn conflict(&mut self, path: &FieldPath, base: &[Value], mine: &[Value], theirs: &[Value]) {
        let list = |values: &[Value]| Some(Value::Array(values.to_vec()));
        let (base, mine, theirs) = (list(base), list(mine), list(theirs));
        self.0.push(FieldConflict { field: path.to_string(), base, mine, theirs });
    }
}

type Identity = (Option<String>, Option<String>, Option<u64>);

fn owned((name, address, port): (Option<&str>, Option<&str>, Option<u64>)) -> Identity {
    (name.map(str::to_owned), address.map(str::to_owned), port)
}

/// Lists of words, each once: what either adds is added, what either removes is removed.
fn words(base: &[Value], mine: &[Value], theirs: &[Value]) -> Option<Vec<Value>> {
    let set = |list: &[Value]| -> Option<HashSet<String>> {
        let found: HashSet<_> =
            list.iter().map(|value| value.as_str().map(str::to_owned)).collect::<Option<_>>()?;
        (found.len() == list.len()).then_some(found)
    };
    let (older, ours, others) = (set(base)?, set(mine)?, set(theirs)?);
    let is_in = |set: &HashSet<String>, value: &Value| {
        value.as_str().is_some_and(|word| set.contains(word))
    };
    let kept = mine.iter().filter(|value| !is_in(&older, value) || is_in(&others, value));
    let added = theirs.iter().filter(|value| !is_in(&older, value) && !is_in(&ours, value));
    Some(kept.chain(added).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(base: Value, mine: Value, theirs: Value, merged: Value, conflicts: &[&str]) {
        let (found, fields) = merge(&base, &mine, &theirs);
        assert_eq!(found, merged);
        let fields: Vec<_> = fields.into_iter().map(|conflict| conflict.field).collect();
        assert_eq!(fields, conflicts);
    }

    #[test]
    fn different_fields_of_one_object_go_together() {
        check(
            json!({"a": 1, "b": {"c": 1, "d": 1}, "gone": 1}),
            json!({"a": 2, "b": {"c": 1, "d": 1}}),
            json!({"a": 1, "b": {"c": 1, "d": 3, "e": 4}, "gone": 1}),
            json!({"a": 2, "b": {"c": 1, "d": 3, "e": 4}}),
            &[],
        );
    }

    #[test]
    fn one_field_with_two_values_is_a_conflict() {
        check(
            json!({"a": {"b": 1}}),
            json!({"a": {"b": 2}}),
            json!({"a": {"b": 3}}),
            json!({"a": {"b": 2}}),
            &["a.b"],
        );
        check(json!({"a": 1}), json!({}), json!({"a": 3}), json!({}), &["a"]);
        check(json!({"a": 1}), json!({"a": 2}), json!({"a": 2}), json!({"a": 2}), &[]);
    }

    #[test]
    fn elements_are_told_apart_by_who_they_are() {
        let backend = |address: &str, weight: u32| json!({"address": address, "weight": weight});
        let (one, two, three) =
            (backend("10.0.0.1", 1), backend("10.0.0.2", 1), backend("10.0.0.3", 1));
        check(
            json!({"b": [one, two]}),
            json!({"b": [backend("10.0.0.1", 5), two]}),
            json!({"b": [one, three]}),
            json!({"b": [backend("10.0.0.1", 5), three]}),
            &[],
        );
        check(
            json!({"b": [one]}),
            json!({"b": [backend("10.0.0.1", 5)]}),
            json!({"b": [backend("10.0.0.1", 6)]}),
            json!({"b": [backend("10.0.0.1", 5)]}),
            &["b[0].weight"],
        );
    }

    #[test]
    fn lists_of_words_are_sets() {
        check(
            json!({"deny": ["a", "b", "c"]}),
            json!({"deny": ["a", "c", "d"]}),
            json!({"deny": ["b", "c", "e"]}),
            json!({"deny": ["c", "d", "e"]}),
            &[],
        );
    }

    #[test]
    fn other_lists_are_one_value() {
        check(json!([1, 2]), json!([2, 1]), json!([1, 2, 3]), json!([2, 1]), &[""]);
    }
}
