//! The headers of messages with events: CloudEvents in the binary mode of the Kafka protocol binding.
//!
//! Deliberately absent: the Kafka client, so that the headers can be described without it.

use serde_json::{Map, Value, json};

/// The headers of CloudEvents' binary mode: name, whether it is always present, format, and description. All but the first
/// six and the content type are extensions, of which `traceparent` has its own specification.
pub(super) const HEADERS: [(&str, bool, Option<&str>, &str); 16] = [
    ("ce_specversion", true, None, "The version of CloudEvents, 1.0."),
    ("ce_id", true, Some("uuid"), "The event's id."),
    ("ce_source", true, Some("uri-reference"), "/apex/TENANT/CATEGORY"),
    ("ce_type", true, None, "The event type, such as `call.recorded`."),
    ("ce_subject", true, Some("uuid"), "The id of the stream, as in the key."),
    ("ce_time", true, Some("date-time"), "When the event was appended."),
    ("content-type", true, None, "application/json"),
    ("ce_position", true, None, "The event's position in the log, from 1 without gaps over all topics."),
    ("ce_streamversion", true, None, "The event's version in its stream, from 1 without gaps."),
    ("ce_schemaversion", true, None, "The version of the payload's schema."),
    ("ce_tenant", true, None, "The tenant that owns the stream."),
    ("ce_actor", true, None, "The person, agent or policy that issued the command."),
    ("ce_commandid", true, Some("uuid"), "The id of the command."),
    ("ce_correlationid", true, Some("uuid"), "The id that relates all commands and events of one operation."),
    ("ce_causationid", false, Some("uuid"), "The id of the event that the command reacted to."),
    ("ce_traceparent", false, None, "The trace context of the command, as a W3C traceparent."),
];

/// The JSON Schema of the headers. All values are strings.
#[must_use]
pub fn header_schema() -> Value {
    let field = |(name, _, format, description): &(&str, bool, Option<&str>, &str)| {
        let mut field = json!({ "type": "string", "description": description });
        if let Some(format) = format {
            field["format"] = json!(format);
        }
        ((*name).to_owned(), field)
    };
    let properties: Map<_, _> = HEADERS.iter().map(field).collect();
    let required: Vec<_> = HEADERS.iter().filter(|header| header.1).map(|header| header.0).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}
