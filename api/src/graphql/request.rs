//! What a client sent with a mutation, as a hash: by it the second use of a command id is told from a retry.
//!
//! The hash is over the name of the mutation, the object that it is about, and the input as it was sent, without
//! `commandId`. Nothing that the server adds is part of it, such as the time where none was given. A field that is null is
//! one that was not given, and the order of fields is of no concern.

use async_graphql::{Result, SelectionField, Value};
use serde_json::json;
use std::collections::BTreeMap;
use streams::RequestHash;
use uuid::Uuid;

/// The field of every input that says which command it is.
const COMMAND_ID: &str = "commandId";

/// The hash of the mutation that a field is, about an object.
pub(crate) fn hash(field: &SelectionField<'_>, target: Uuid) -> Result<RequestHash> {
    let arguments: BTreeMap<String, serde_json::Value> = field
        .arguments()
        .map_err(|error| async_graphql::Error::new(error.message))?
        .into_iter()
        .map(|(name, value)| (name.to_string(), canonical(&without_command_id(value))))
        .collect();
    Ok(hash_of(field.name(), target, &arguments))
}

fn hash_of(mutation: &str, target: Uuid, arguments: &BTreeMap<String, serde_json::Value>) -> RequestHash {
    // An array: the order of its members is its own, whatever the map behind an object is.
    RequestHash::of(json!([mutation, target, pairs(arguments)]).to_string().as_bytes())
}

fn without_command_id(value: Value) -> Value {
    match value {
        Value::Object(mut members) => {
            members.shift_remove(COMMAND_ID);
            Value::Object(members)
        }
        other => other,
    }
}

/// A value in the one form that all ways to write it share: objects as sorted lists of names and values.
fn canonical(value: &Value) -> serde_json::Value {
    match value {
        Value::Object(members) => {
            let given = members.iter().filter(|(_, value)| !matches!(value, Value::Null));
            let sorted: BTreeMap<_, _> = given.map(|(name, value)| (name.to_string(), canonical(value))).collect();
            json!({ "object": pairs(&sorted) })
        }
        Value::List(items) => items.iter().map(canonical).collect(),
        // As a variable has it: the same as in the text of the query.
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
