//! JSON Schemas of events, made from the Rust types of their payloads.
//!
//! A schema is the shape of one version of one event type, whole and closed: a field that it does not name is not
//! written. Nested types are written out where they stand, so that the name of a Rust type is no part of the shape.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value};
use thiserror::Error;

/// The largest integer that is the same number to every reader of JSON: 2^53 - 1.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// The shape of one version of an event type.
#[derive(Debug, Clone, PartialEq)]
pub struct EventSchema {
    /// The event type, such as `task.completed`.
    pub name: &'static str,
    /// The schema version.
    pub version: u16,
    /// JSON Schema, draft 2020-12.
    pub schema: Value,
}

impl EventSchema {
    /// The schema of a payload, as serde writes it.
    pub(crate) fn of<T: JsonSchema>(name: &'static str, version: u16) -> Self {
        let settings =
            SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
        let mut schema = settings.into_generator().into_root_schema_for::<T>();
        RecursiveTransform(close).transform(&mut schema);
        schema.remove("description");
        schema.insert("title".to_owned(), format!("{name}, version {version}").into());
        Self { name, version, schema: sorted(schema.to_value()) }
    }

    /// The file that holds it: `TYPE.vVERSION.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.v{}.json", self.name, self.version)
    }

    /// The file's text.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.schema)
    }

    /// Compares it with the text of the file that was kept.
    ///
    /// # Errors
    /// [`ShapeChanged`] where the shape is another one, or the text is no schema.
    pub fn compare(&self, kept: &str) -> Result<Kept, ShapeChanged> {
        let is_same = |kept: Value| shape(&self.schema).is_some_and(|known| Some(known) == shape(&kept));
        if kept == self.text() {
            Ok(Kept::Same)
        } else if serde_json::from_str(kept).is_ok_and(is_same) {
            Ok(Kept::OtherWords)
        } else {
            Err(ShapeChanged { name: self.name, version: self.version })
        }
    }
}

/// A schema file that is of the right shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// As it would be written today.
    Same,
    /// It says the same in other words or in another order: it may be written again.
    OtherWords,
}

/// An event type that changed without a new version. Logs hold events of the shape that it had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{name} has another shape than the schema of its version {version}: give it version {}, write an upcast from \
     version {version}, and keep the old schema file",
    version + 1
)]
pub struct ShapeChanged {
    /// The event type.
    pub name: &'static str,
    /// The version under which it changed.
    pub version: u16,
}

/// A schema without what it says to people.
fn shape(schema: &Value) -> Option<Value> {
    let mut schema = Schema::try_from(schema.clone()).ok()?;
    let mut wordless = RecursiveTransform(|part: &mut Schema| {
        part.remove("title");
        part.remove("description");
    });
    wordless.transform(&mut schema);
    Some(schema.to_value())
}

/// Says what serde knows and schemars does not: which fields there are, which integers, and that times are in UTC.
fn close(schema: &mut Schema) {
    let Some(schema) = schema.as_object_mut() else { return };
    // What a reader takes for a field that is absent; a writer leaves none out.
    schema.remove("default");
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => {
            // Rust's own names, such as uint64; the bounds say more.
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
        // What is absent is left out, never null.
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

/// With its keys in order, whatever features serde_json was built with.
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
mod tests {
    use super::*;
    use crate::budget::{Month, Threshold};
    use crate::price_book::Rate;
    use crate::{AgentId, Body, Labels, Money, Name, Tokens};
    use chrono::{DateTime, Utc};
    use proptest::prelude::*;
    use serde::de::DeserializeOwned;
    use serde::{Deserialize, Serialize};
    use serde_json::json;

    fn of<T: JsonSchema>() -> EventSchema {
        EventSchema::of::<T>("test.happened", 1)
    }

    fn accepts<T: JsonSchema>(value: &Value) -> bool {
        let validator = jsonschema::options().should_validate_formats(true).build(&of::<T>().schema).unwrap();
        validator.is_valid(value)
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Kind {
        /// Which.
        id: AgentId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<Name>,
    }

    #[test]
    fn a_changed_shape_is_told() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Required {
            id: AgentId,
            #[schemars(skip_serializing_if = "Option::is_none")]
            note: Option<Name>,
            at: DateTime<Utc>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Optional {
            id: AgentId,
            #[schemars(skip_serializing_if = "Option::is_none")]
            note: Option<Name>,
            #[schemars(skip_serializing_if = "Option::is_none")]
            at: Option<DateTime<Utc>>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Renamed {
            #[schemars(rename = "agent_id")]
            id: AgentId,
            #[schemars(skip_serializing_if = "Option::is_none")]
            note: Option<Name>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct OtherType {
            id: AgentId,
            #[schemars(skip_serializing_if = "Option::is_none")]
            note: Option<Body>,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Removed {
            id: AgentId,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Demanded {
            id: AgentId,
            note: Name,
        }
        let kept = of::<Kind>().text();
        assert_eq!(of::<Kind>().compare(&kept), Ok(Kept::Same));
        for changed in
            [of::<Required>(), of::<Optional>(), of::<Renamed>(), of::<OtherType>(), of::<Removed>(), of::<Demanded>()]
        {
            let told = changed.compare(&kept).unwrap_err().to_string();
            assert!(told.contains("give it version 2, write an upcast from version 1, and keep the old"), "{told}");
        }
        assert!(of::<Kind>().compare("no schema").is_err());
    }

    #[test]
    fn other_words_are_no_other_shape() {
        #[derive(JsonSchema)]
        #[schemars(rename = "AnotherName")]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Kind {
            /// Which one it is.
            id: AgentId,
            #[schemars(skip_serializing_if = "Option::is_none")]
            note: Option<Name>,
        }
        let kept = of::<super::tests::Kind>().text();
        assert_eq!(of::<Kind>().compare(&kept), Ok(Kept::OtherWords));
    }

    /// A field is called what it is called, even `title` or `description`.
    #[test]
    fn fields_with_the_names_of_words_count() {
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Titled {
            title: Name,
            description: Name,
        }
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its shape counts")]
        struct Untitled {
            title: Name,
        }
        assert!(of::<Untitled>().compare(&of::<Titled>().text()).is_err());
    }

    #[test]
    fn what_is_no_payload_is_refused() {
        let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        assert!(accepts::<Kind>(&json!({"id": id, "note": "x"})));
        for bad in [
            json!({"id": id, "note": null}),
            json!({"id": id, "more": 1}),
            json!({"id": "0190d5a2"}),
            json!({"note": "x"}),
            json!({"id": id, "note": ""}),
            json!({"id": id, "note": "a\nb"}),
        ] {
            assert!(!accepts::<Kind>(&bad), "{bad}");
        }
        for bad in [json!(1.5), json!("1e3"), json!("1."), json!("$1"), json!("1,5"), json!("1234567890123456")] {
            assert!(!accepts::<Money>(&bad), "{bad}");
        }
        assert!(!accepts::<Rate>(&json!("-1")) && accepts::<Rate>(&json!("0.15")));
        assert!(!accepts::<Tokens>(&json!(1_u64 << 53)) && accepts::<Tokens>(&json!((1_u64 << 53) - 1)));
        assert!(!accepts::<Threshold>(&json!(0)) && !accepts::<Threshold>(&json!(1001)));
        assert!(!accepts::<Month>(&json!("2023-13")) && !accepts::<Month>(&json!("2023-9")));
        let time = "2025-11-03T09:30:00";
        assert!(accepts::<DateTime<Utc>>(&json!(format!("{time}.123456789Z"))));
        assert!(!accepts::<DateTime<Utc>>(&json!(format!("{time}+01:00"))));
        assert!(!accepts::<DateTime<Utc>>(&json!(time)) && !accepts::<DateTime<Utc>>(&json!("2025-13-03T09:30:00Z")));
        let labels: serde_json::Map<_, _> = (0..33).map(|n| (n.to_string(), json!("x"))).collect();
        assert!(!accepts::<Labels>(&Value::Object(labels)));
    }

    /// What the type reads, its schema accepts as it is written.
    fn agree<T: JsonSchema + Serialize + DeserializeOwned>(value: &Value) {
        if let Ok(read) = serde_json::from_value::<T>(value.clone()) {
            let written = serde_json::to_value(&read).unwrap();
            assert!(accepts::<T>(&written), "{written} is refused by its schema");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn whatever_can_be_written_fits_its_schema(
            text in ".{0,20}", number in any::<u64>(), amount in "-?[0-9]{1,16}(\\.[0-9]{1,13})?",
            month in "[+-]?[0-9]{1,5}-[01][0-9]",
        ) {
            for text in [&text, &amount, &month].map(|text| json!(text)) {
                agree::<Name>(&text);
                agree::<Body>(&text);
                agree::<Money>(&text);
                agree::<Rate>(&text);
                agree::<Month>(&text);
            }
            agree::<Tokens>(&json!(number));
            agree::<Tokens>(&json!(number >> 11));
            agree::<Threshold>(&json!(number % 1100));
        }
    }
}
