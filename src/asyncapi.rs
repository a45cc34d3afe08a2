//! The AsyncAPI document of the topics that the relay publishes, generated from the types of events and rows.

use domain::Event;
use projections::{StateTopic, state_topics};
use serde_json::{Map, Value, json};

/// The AsyncAPI 3.0 document, in JSON. Its payloads refer to the files in `schemas/events`, relative to `schemas`.
#[must_use]
pub fn document() -> String {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for category in Event::CATEGORIES {
        let mut category_messages = Map::new();
        let types = Event::types();
        for schema in Event::schemas() {
            if types.iter().any(|info| info.category == *category && info.event_type.name == schema.name) {
                let id = format!("{}.v{}", schema.name, schema.version);
                category_messages.insert(id.clone(), json!({ "$ref": format!("#/components/messages/{id}") }));
                messages.insert(id, message(schema.name, schema.version, &schema.file_name()));
            }
        }
        channels.insert((*category).to_owned(), channel(category, &category_messages, "delete"));
        operations.insert(format!("publish.{category}"), operation(category));
    }
    for topic in state_topics() {
        let id = format!("state.{}", topic.table.name);
        let row_message = json!({ id.clone(): { "$ref": format!("#/components/messages/{id}") } });
        channels.insert(id.clone(), channel(&id, row_message.as_object().unwrap_or(&Map::new()), "compact"));
        operations.insert(format!("publish.{id}"), operation(&id));
        messages.insert(id, state_message(&topic));
    }
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Apex events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every event of the log, as the relay publishes it to Kafka: at least once, in order per key. \
                            These messages are CloudEvents 1.0 in binary mode. Where state topics are turned on, the \
                            rows of read models as well.",
            "license": { "name": "Apache-2.0" }
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "messageTraits": { "cloudEvent": { "headers": streams::relay::header_schema() } },
            "correlationIds": { "command": { "location": "$message.header#/ce_correlationid" } }
        }
    });
    format!("{document:#}\n")
}

fn channel(address: &str, messages: &Map<String, Value>, cleanup: &str) -> Value {
    json!({
        "address": format!("{{prefix}}.{address}"),
        "parameters": { "prefix": { "default": "apex", "description": "APEX_KAFKA_TOPIC_PREFIX" } },
        "messages": messages,
        "bindings": {
            "kafka": { "topicConfiguration": { "cleanup.policy": [cleanup] }, "bindingVersion": "0.5.0" }
        }
    })
}

fn operation(channel: &str) -> Value {
    json!({ "action": "send", "channel": { "$ref": format!("#/channels/{channel}") } })
}

/// The message of a read model's row.
fn state_message(topic: &StateTopic) -> Value {
    let name = topic.table.name;
    json!({
        "name": format!("state.{name}"),
        "title": format!("a row of {name}, as it is now"),
        "contentType": "application/json",
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": topic.schema
        },
        "bindings": {
            "kafka": {
                "key": { "type": "string", "description": format!("TENANT/{}", topic.table.id) },
                "bindingVersion": "0.5.0"
            }
        }
    })
}

fn message(name: &str, version: u16, file: &str) -> Value {
    json!({
        "name": name,
        "title": format!("{name}, version {version}"),
        "contentType": "application/json",
        "traits": [{ "$ref": "#/components/messageTraits/cloudEvent" }],
        "correlationId": { "$ref": "#/components/correlationIds/command" },
        "payload": {
            "schemaFormat": "application/schema+json;version=draft-2020-12",
            "schema": { "$ref": format!("./events/{file}") }
        },
        "bindings": {
            "kafka": {
                "key": { "type": "string", "format": "uuid", "description": "The stream." },
                "bindingVersion": "0.5.0"
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn schemas() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas")
    }

    #[test]
    fn the_committed_document_is_current() {
        let committed = std::fs::read_to_string(schemas().join("asyncapi.json")).unwrap_or_default();
        // As values: the order of keys depends on how serde_json was built.
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        assert!(
            value(&committed) == value(&document()),
            "write it with `apex schema asyncapi > schemas/asyncapi.json`"
        );
    }

    #[test]
    fn every_reference_resolves() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str).map(ToOwned::to_owned));
                    fields.values().for_each(|field| references(field, found));
                }
                Value::Array(values) => values.iter().for_each(|value| references(value, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let document: Value = serde_json::from_str(&document()).unwrap();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 3 * Event::schemas().len(), "only {} references were found", found.len());
        for reference in found {
            let resolves = match reference.strip_prefix('#') {
                Some(pointer) => document.pointer(pointer).is_some(),
                None => schemas().join(&reference).exists(),
            };
            assert!(resolves, "{reference} does not resolve");
        }
        let messages = document["components"]["messages"].as_object().unwrap();
        assert_eq!(messages.len(), Event::schemas().len() + state_topics().len());
    }

    #[test]
    fn the_document_is_valid_by_the_official_schema() {
        let official = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/asyncapi/3.0.0.json");
        let official = std::fs::read_to_string(official).expect("run scripts/fetch-asyncapi-schema.sh first");
        let official: Value = serde_json::from_str(&official).unwrap();
        let validator = jsonschema::validator_for(&official).unwrap();
        let document: Value = serde_json::from_str(&document()).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        for (pointer, wrong) in [("/operations/publish.call/action", json!("shout")), ("/asyncapi", json!("4.0.0"))] {
            let mut document = document.clone();
            *document.pointer_mut(pointer).unwrap() = wrong;
            assert!(!validator.is_valid(&document), "{pointer} may be anything: the check proves nothing");
        }
    }
}
