//! The read models that have one row a stream, whose rows can be published as messages; and what such a message is.

use crate::{agents, calls, memories, tasks};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use serde_json::Value;
use streams::relay::StateTable;

/// A read model, and the JSON Schema (draft 2020-12) of its rows.
#[derive(Debug, Clone)]
pub struct StateTopic {
    /// Where the rows are.
    pub table: StateTable,
    /// What each is, as it is published.
    pub schema: Value,
}

/// Every read model of one row a stream.
#[must_use]
pub fn state_topics() -> Vec<StateTopic> {
    let agents = table("agents", "state:agents", "agent", "apex.agents", "agent_id");
    let tasks = table("tasks", "state:tasks", "task", "apex.tasks", "task_id");
    let calls = table("calls", "state:calls", "call", "apex.calls", "call_id");
    let memories = table("memories", "state:memories", "memory", "apex.memories", "memory_id");
    vec![
        StateTopic { table: agents, schema: schema::<agents::Row>("an agent") },
        StateTopic { table: tasks, schema: schema::<tasks::Row>("a task") },
        // JSON numbers pass through floats in many readers.
        StateTopic {
            table: StateTable { decimals: &["cost", "reported_cost"], ..calls },
            schema: schema::<calls::Row>("a call"),
        },
        // What the search looks in is generated from the rest.
        StateTopic {
            table: StateTable { hidden: &["words"], ..memories },
            schema: schema::<memories::Row>("a memory"),
        },
    ]
}

const fn table(
    name: &'static str,
    checkpoint: &'static str,
    category: &'static str,
    table: &'static str,
    id: &'static str,
) -> StateTable {
    StateTable { name, checkpoint, category, table, id, hidden: &[], decimals: &[] }
}

/// All fields are there, null where there is nothing, and no others.
fn schema<T: JsonSchema>(title: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    let mut close = RecursiveTransform(|schema: &mut schemars::Schema| {
        if schema.get("type").is_some_and(|kind| kind == "integer") {
            // Rust's own names, such as uint64.
            schema.remove("format");
        }
        let fields = schema.get("properties").and_then(Value::as_object);
        if let Some(fields) = fields.map(|fields| fields.keys().cloned().collect::<Vec<_>>()) {
            schema.insert("required".to_owned(), fields.into());
            schema.insert("additionalProperties".to_owned(), false.into());
        }
    });
    close.transform(&mut schema);
    schema.insert("title".to_owned(), format!("The row of {title}").into());
    schema.to_value()
}
