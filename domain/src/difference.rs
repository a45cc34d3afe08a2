//! How two states differ, field by field.

use serde_json::Value;

/// The most fields that a comparison lists.
pub const MAX_CHANGED_FIELDS: usize = 1_000;

/// A field of a state that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedField {
    /// The path of the field: a JSON Pointer (RFC 6901), such as `/profile/name`; empty for the state as a whole.
    pub path: String,
    /// The value before; none if there was no such field.
    pub before: Option<Value>,
    /// The value after; none if there is no such field any more.
    pub after: Option<Value>,
}

/// The fields that differ between two states.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// The fields, in the order of their paths: the innermost ones that differ.
    pub fields: Vec<ChangedField>,
    /// Whether more fields differ than are listed.
    pub is_cut: bool,
}

impl Difference {
    /// Compares two states. Elements of lists are compared by their place.
    #[must_use]
    pub fn between(before: &Value, after: &Value) -> Self {
        let mut difference = Self::default();
        difference.compare(String::new(), Some(before), Some(after));
        difference
    }

    fn compare(&mut self, path: String, before: Option<&Value>, after: Option<&Value>) {
        if before == after {
            return;
        }
        match (before, after) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                let mut names: Vec<_> = one.keys().chain(other.keys()).collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    let escaped = name.replace('~', "~0").replace('/', "~1");
                    self.compare(format!("{path}/{escaped}"), one.get(name), other.get(name));
                }
            }
            (Some(Value::Array(one)), Some(Value::Array(other))) => {
                for index in 0..one.len().max(other.len()) {
                    self.compare(format!("{path}/{index}"), one.get(index), other.get(index));
                }
            }
            _ if self.fields.len() >= MAX_CHANGED_FIELDS => self.is_cut = true,
            (before, after) => {
                self.fields.push(ChangedField { path, before: before.cloned(), after: after.cloned() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_innermost_fields_that_differ_are_listed() {
        let before =
            json!({ "status": "active", "profile": { "name": "a", "kind": "x" }, "tags": [1, 2, 3], "a/b": 1 });
        let after = json!({ "status": "active", "profile": { "name": "b", "model": "m" }, "tags": [1, 5], "a/b": 2 });
        let fields = Difference::between(&before, &after).fields;
        let found: Vec<_> =
            fields.iter().map(|field| (field.path.as_str(), field.before.clone(), field.after.clone())).collect();
        let expected = [
            ("/a~1b", Some(json!(1)), Some(json!(2))),
            ("/profile/kind", Some(json!("x")), None),
            ("/profile/model", None, Some(json!("m"))),
            ("/profile/name", Some(json!("a")), Some(json!("b"))),
            ("/tags/1", Some(json!(2)), Some(json!(5))),
            ("/tags/2", Some(json!(3)), None),
        ];
        assert_eq!(found, expected);
        assert_eq!(before.pointer("/a~1b"), Some(&json!(1)), "paths are JSON Pointers");
        assert_eq!(Difference::between(&before, &before), Difference::default());
    }

    #[test]
    fn a_list_of_fields_is_cut_and_says_so() {
        let long = |value: u32| Value::from(vec![value; MAX_CHANGED_FIELDS + 1]);
        let cut = Difference::between(&long(1), &long(2));
        assert_eq!((cut.fields.len(), cut.is_cut), (MAX_CHANGED_FIELDS, true));
        let whole = Difference::between(&Value::from(vec![1; 1_000]), &Value::from(vec![2; 1_000]));
        assert!(!whole.is_cut);
    }
}
