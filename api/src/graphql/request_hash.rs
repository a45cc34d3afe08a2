//! The hash of what a client sent with a mutation. It distinguishes a retry from another command under the same id.
//!
//! The hash covers the name of the mutation, the id of the object, and the input as it was sent, without `commandId` and without
//! what is personal and not in the log: the hash is kept as long as the log, and an address can be guessed from the hash of
//! it. That a retry has the same name and address is checked against the rows beside the log, as long as they are not erased.
//! Values that the server adds, such as a default time, are not part of it. A null field equals an absent field, and the
//! order of fields does not matter.

use async_graphql::{Result, SelectionField, Value};
use serde_json::json;
use std::collections::BTreeMap;
use streams::RequestHash;
use uuid::Uuid;

/// The field of every input that carries the idempotency key.
const COMMAND_ID: &str = "commandId";
/// The fields of inputs that are about a person, and are not hashed.
const PERSONAL: [&str; 2] = ["email", "displayName"];

/// Computes the hash of a mutation that concerns an object.
pub(crate) fn hash(field: &SelectionField<'_>, target: Uuid) -> Result<RequestHash> {
    let arguments: BTreeMap<String, serde_json::Value> = field
        .arguments()
        .map_err(|error| async_graphql::Error::new(error.message))?
        .into_iter()
        .map(|(name, value)| (name.to_string(), canonical(&hashed(value))))
        .collect();
    Ok(hash_of(field.name(), target, &arguments))
}

fn hash_of(mutation: &str, target: Uuid, arguments: &BTreeMap<String, serde_json::Value>) -> RequestHash {
    // An array, because the order of the members of a JSON object depends on the map behind it.
    RequestHash::of(json!([mutation, target, pairs(arguments)]).to_string().as_bytes())
}

/// The part of an argument that is hashed.
fn hashed(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            members.retain(|name, _| name != COMMAND_ID && !PERSONAL.contains(&name.as_str()));
            Value::Object(members)
        }
        other => other,
    }
}

/// Converts a value to its canonical form: objects become sorted lists of names and values.
fn canonical(value: &Value) -> serde_json::Value {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !matches!(value, Value::Null));
            let sorted: BTreeMap<_, _> = given.map(|(name, value)| (name.to_string(), canonical(value))).collect();
            json!({ "object": pairs(&sorted) })
        }
        Value::List(items) => items.iter().map(canonical).collect(),
        // The same as the string that a variable carries for an enum value.
        Value::Enum(name) => name.as_str().into(),
        Value::String(text) => text.as_str().into(),
        Value::Number(number) => number.to_string().into(),
        Value::Boolean(flag) => (*flag).into(),
        Value::Null => serde_json::Value::Null,
        Value::Binary(bytes) => json!({ "binary": bytes.to_vec() }),
    }
}

fn pairs(members: &BTreeMap<String, serde_json::Value>) -> Vec<serde_json::Value> {
    members.iter().map(|(name, value)| json!([name, value])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_personal_is_not_hashed_and_all_else_is() {
        let argument = |json: serde_json::Value| canonical(&hashed(Value::from_json(json).unwrap())).to_string();
        let ada =
            argument(json!({ "commandId": "1", "email": "ada@example.org", "displayName": "Ada", "roles": ["A"] }));
        assert!(!ada.contains("example.org") && !ada.contains("Ada"), "{ada}");
        assert_eq!(ada, argument(json!({ "commandId": "2", "email": "bob@example.org", "roles": ["A"] })));
        assert_ne!(ada, argument(json!({ "commandId": "1", "email": "ada@example.org", "roles": ["B"] })));
    }
}
