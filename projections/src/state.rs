//! State topics: Kafka topics with the rows of a read model that has one row for each stream.

pub(crate) use streams::relay::StateTable;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;

/// The state topic of a read model.
#[derive(Debug, Clone)]
pub struct StateTopic {
    /// The table that the rows are read from.
    pub table: StateTable,
    /// The JSON Schema (draft 2020-12) of a message.
    pub schema: Value,
}

impl StateTopic {
    /// Returns the state topic of a table whose rows are described by a type; `title` names a row, such as `an agent`.
    pub(crate) fn new<T: JsonSchema>(title: &str, table: StateTable) -> Self {
        Self { table, schema: schema::<T>(title) }
    }
}

/// Generates the JSON Schema of a row type: every field is required, and null if it has no value; no other fields are
/// allowed.
fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut close = RecursiveTransform(|schema: &mut schemars::Schema| {
        let format = schema.get("format").and_then(Value::as_str).unwrap_or_default();
        if ["int16", "int64", "uint64"].contains(&format) {
            // A name of Rust's integer types, which JSON Schema does not define.
            schema.remove("format");
        }
        if schema.get("properties").is_some() {
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    });
    close.transform(&mut schema);
    let fields = schema.get("properties").and_then(Value::as_object);
    let fields: Vec<_> = fields.into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    schema.insert("required".to_owned(), fields.into());
    schema.insert("title".to_owned(), format!("The row of {title}").into());
    schema.to_value()
}

#[cfg(test)]
mod tests {
    use super::StateTopic;
    use crate::state_topics;
    use domain::call::{DataClass, Field};

    #[test]
    fn every_column_of_a_row_is_required_and_described() {
        let topics = state_topics();
        let names: Vec<_> = topics.iter().map(|topic| topic.table.name).collect();
        assert_eq!(names, ["agents", "tasks", "calls", "memories"]);
        for StateTopic { table, schema } in topics {
            let properties = schema["properties"].as_object().unwrap();
            assert_eq!(schema["required"].as_array().unwrap().len(), properties.len(), "{}", table.name);
            assert_eq!(schema["additionalProperties"], false, "{}", table.name);
            for (column, schema) in properties {
                assert!(schema["description"].is_string(), "{}.{column}", table.name);
                assert!(!schema["format"].as_str().unwrap_or("").contains("int"), "{}.{column}: {schema}", table.name);
            }
            assert!(
                properties.contains_key(table.id) && table.decimals.iter().all(|name| properties.contains_key(*name))
            );
        }
    }

    /// The row of a call says of each field what the events of the call say.
    #[test]
    fn personal_data_and_contents_of_calls_are_marked() {
        let calls = state_topics().into_iter().find(|topic| topic.table.name == "calls").unwrap();
        for field in Field::ALL.iter().filter(|field| field.data_class() != DataClass::Plain) {
            // The names of columns are those of the fields, but for the reserved word.
            let column = if *field == Field::User { "user_id" } else { field.name() };
            assert_eq!(calls.schema["properties"][column]["x-apex-data"], field.data_class().as_str(), "{column}");
        }
    }
}
