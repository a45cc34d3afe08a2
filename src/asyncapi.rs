//! The AsyncAPI document of what the relay publishes, made from the event types.

use domain::Event;
use serde_json::{Map, Value, json};

/// The topics, messages, headers and payloads, as AsyncAPI 3.0 in JSON. Payloads are the files of `schemas/events`,
/// beside which the document lies.
#[must_use]
pub fn document() -> String {
    let mut channels = Map::new();
    let mut operations = Map::new();
    let mut messages = Map::new();
    for category in Event::CATEGORIES {
        let mut own = Map::new();
        let types = Event::types();
        for schema in Event::schemas() {
            if types.iter().any(|info| info.category == *category && info.event_type.name == schema.name) {
                let id = format!("{}.v{}", schema.name, schema.version);
                own.insert(id.clone(), json!({ "$ref": format!("#/components/messages/{id}") }));
                messages.insert(id, message(schema.name, schema.version, &schema.file_name()));
            }
        }
        channels.insert((*category).to_owned(), channel(category, own));
        operations.insert(
            format!("publish.{category}"),
            json!({ "action": "send", "channel": { "$ref": format!("#/channels/{category}") } }),
        );
    }
    let document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Apex events",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Every event of the log, as the relay publishes it to Kafka: at least once, in order per key. \
                            Messages are CloudEvents 1.0 in binary mode.",
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

fn channel(category: &str, messages: Map<String, Value>) -> Value {
    json!({
        "address": format!("{{prefix}}.{category}"),
        "parameters": { "prefix": { "default": "apex", "description": "APEX_KAFKA_TOPIC_PREFIX" } },
        "messages": messages,
        "bindings": {
            "kafka": { "topicConfiguration": { "cleanup.policy": ["delete"] }, "bindingVersion": "0.5.0" }
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
    fn the_document_that_was_kept_is_that_of_the_types() {
        let kept = std::fs::read_to_string(schemas().join("asyncapi.json")).unwrap_or_default();
        // As values: the order of keys depends on how serde_json was built.
        let value = |text: &str| serde_json::from_str::<Value>(text).ok();
        assert!(value(&kept) == value(&document()), "write it with `apex schema asyncapi > schemas/asyncapi.json`");
    }

    #[test]
    fn every_reference_leads_somewhere() {
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
            let leads = match reference.strip_prefix('#') {
                Some(place) => document.pointer(place).is_some(),
                None => schemas().join(&reference).exists(),
            };
            assert!(leads, "{reference} leads nowhere");
        }
        assert_eq!(document["components"]["messages"].as_object().unwrap().len(), Event::schemas().len());
    }
}
