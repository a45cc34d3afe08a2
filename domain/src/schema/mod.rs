//! JSON Schemas of events, generated from the Rust types of their payloads.
//!
//! A schema describes the shape of one version of one event type completely: no other fields are written. Nested types
//! are inlined, so that renaming a Rust type does not change a schema.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};
use thiserror::Error;

/// The largest integer that every JSON parser reads exactly: 2^53 - 1.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The JSON Schema of one version of an event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// The name of the event type, such as `task.completed`.
    pub name: &'static str,
    /// The schema version.
    pub version: u16,
    /// The JSON Schema, draft 2020-12.
    pub schema: Value,
}

impl EventSchema {
    /// The schema of a payload as serde serializes it.
    pub(crate) fn of<T: JsonSchema>(name: &'static str, version: u16) -> Self {
        let settings =
            SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<T>();
        RecursiveTransform(close).transform(&mut schema);
        schema.remove("description");
        schema.insert("title".to_owned(), format!("{name}, version {version}").into());
        Self { name, version, schema: sorted(schema.to_value()) }
    }

    /// The name of the schema's file: `TYPE.vVERSION.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.v{}.json", self.name, self.version)
    }

    /// The content of the schema's file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.schema)
    }

    /// Compares the schema with the content of an existing file.
    ///
    /// # Errors
    /// [`SchemaChanged`] if the file has a different shape or is not a schema.
    pub fn compare(&self, existing: &str) -> Result<SchemaMatch, SchemaChanged> {
        let has_same_shape = |existing: Value| shape(&self.schema).is_some_and(|own| Some(own) == shape(&existing));
        if existing == self.text() {
            Ok(SchemaMatch::Identical)
        } else if serde_json::from_str(existing).is_ok_and(has_same_shape) {
            Ok(SchemaMatch::SameShape)
        } else {
            Err(SchemaChanged { name: self.name, version: self.version })
        }
    }
}

/// How an existing schema file matches the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaMatch {
    /// The file is identical to what would be written.
    Identical,
    /// Only descriptions, titles or the order of keys differ: the file may be overwritten.
    SameShape,
}

/// An event type whose shape changed without a new version, while logs contain events of the old shape.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the shape of {name} differs from the schema file of its version {version}: give it version {}, write an upcast \
     from version {version}, and keep the old schema file",
    version + 1
)]
pub struct SchemaChanged {
    /// The name of the event type.
    pub name: &'static str,
    /// The version whose shape changed.
    pub version: u16,
}

/// A schema without its titles and descriptions.
fn shape(schema: &Value) -> Option<Value> {
    let mut schema = Schema::try_from(schema.clone()).ok()?;
    let mut strip = RecursiveTransform(|part: &mut Schema| {
        part.remove("title");
        part.remove("description");
    });
    strip.transform(&mut schema);
    Some(schema.to_value())
}

/// Adds what schemars does not know: that no other fields are written, that integers are exact, and that times are in UTC.
fn close(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    // A default concerns only readers of payloads without the field.
    schema.remove("default");
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => {
            // Formats such as uint64 are specific to Rust; the bounds replace them.
            schema.remove("format");
            let bound = schema.get("maximum").and_then(Value::as_u64).map_or(MAX_INTEGER, |max| max.min(MAX_INTEGER));
            schema.insert("maximum".to_owned(), bound.into());
        }
        Some("string") if schema.get("format").is_some_and(|format| format == "date-time") => {
            schema.insert("pattern".to_owned(), "Z$".into());
        }
        Some("object") => close_object(schema),
        _ => {}
    }
}

fn close_object(schema: &mut Map<String, Value>) {
    let required = schema.get("required").cloned().unwrap_or_default();
    let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) else { return };
    let is_required = |name: &str| required.as_array().is_some_and(|names| names.iter().any(|known| known == name));
    for (_, field) in fields.iter_mut().filter(|(name, _)| !is_required(name)) {
        // An absent field is omitted, never null.
        if let Some(types) = field.get_mut("type").and_then(Value::as_array_mut) {
            types.retain(|kind| kind != "null");
            if let [kind] = types.as_slice() {
                field["type"] = kind.clone();
            }
        }
        if let Some(kinds) = field.get_mut("anyOf").and_then(Value::as_array_mut) {
            kinds.retain(|kind| kind.get("type").is_none_or(|kind| kind != "null"));
        }
    }
    schema.entry("additionalProperties").or_insert(false.into());
}

/// Sorts the keys of all objects, independent of the features that serde_json was built with.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(values) => values.into_iter().map(sorted).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests;
