//! An event as a message: a CloudEvent in the binary mode of its Kafka binding, and back.

use crate::{Metadata, Position, RecordedEvent, StreamKey, Version, content_hash};
use chrono::{DateTime, Utc};
use domain::TenantId;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use serde_json::{Map, Value, json};
use std::str::FromStr;
use thiserror::Error;

/// The key: all events of a stream are in one partition.
pub(super) fn key(event: &RecordedEvent) -> String {
    event.stream.id.to_string()
}

/// The headers of CloudEvents' binary mode; all but the first six and the content type are extensions, of which
/// `traceparent` has its own specification. Each with whether it is always there, the format of its text, and what it
/// says.
const HEADERS: [(&str, bool, Option<&str>, &str); 16] = [
    ("ce_specversion", true, None, "The version of CloudEvents, 1.0."),
    ("ce_id", true, Some("uuid"), "The event's id."),
    ("ce_source", true, Some("uri-reference"), "/apex/TENANT/CATEGORY"),
    ("ce_type", true, None, "The event type, such as `call.recorded`."),
    ("ce_subject", true, Some("uuid"), "The id of the stream, as in the key."),
    ("ce_time", true, Some("date-time"), "When the event was appended."),
    ("content-type", true, None, "application/json"),
    ("ce_position", true, None, "Its place in the log, from 1 without gaps over all topics."),
    ("ce_streamversion", true, None, "Its place in its stream, from 1 without gaps."),
    ("ce_schemaversion", true, None, "The version of the payload's schema."),
    ("ce_tenant", true, None, "Whose stream it is."),
    ("ce_actor", true, None, "The person, agent or policy that gave the command."),
    ("ce_commandid", true, Some("uuid"), "The command."),
    ("ce_correlationid", true, Some("uuid"), "What the command belonged to."),
    ("ce_causationid", false, Some("uuid"), "The event that the command reacted to."),
    ("ce_traceparent", false, None, "The trace that the command was a part of, W3C Trace Context."),
];

/// The JSON Schema of the headers. All values are text.
#[must_use]
pub fn header_schema() -> Value {
    let field = |(name, _, format, says): &(&str, bool, Option<&str>, &str)| {
        let mut field = json!({ "type": "string", "description": says });
        if let Some(format) = format {
            field["format"] = json!(format);
        }
        ((*name).to_owned(), field)
    };
    let properties: Map<_, _> = HEADERS.iter().map(field).collect();
    let required: Vec<_> = HEADERS.iter().filter(|header| header.1).map(|header| header.0).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The headers of an event.
pub(super) fn headers(event: &RecordedEvent) -> OwnedHeaders {
    let source = format!("/apex/{}/{}", event.stream.tenant, event.stream.category);
    let metadata = event.metadata().ok();
    let metadata = metadata.as_ref();
    let values = [
        Some("1.0".to_owned()),
        Some(event.event_id.to_string()),
        Some(source),
        Some(event.name.clone()),
        Some(event.stream.id.to_string()),
        Some(event.recorded_at.to_rfc3339()),
        Some("application/json".to_owned()),
        Some(event.position.to_string()),
        Some(event.version.to_string()),
        Some(event.schema_version.to_string()),
        Some(event.stream.tenant.to_string()),
        metadata.map(|metadata| metadata.actor.clone()),
        metadata.map(|metadata| metadata.command_id.to_string()),
        metadata.map(|metadata| metadata.correlation_id.to_string()),
        metadata.and_then(|metadata| metadata.causation_id).map(|id| id.to_string()),
        metadata.and_then(|metadata| metadata.traceparent.clone()),
    ];
    let named = HEADERS.iter().map(|header| header.0).zip(&values);
    named.fold(OwnedHeaders::new_with_capacity(HEADERS.len()), |headers, (key, value)| match value {
        Some(value) => headers.insert(Header { key, value: Some(value) }),
        None => headers,
    })
}

/// A message that the relay did not write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// It has no payload, or one that is no text.
    #[error("the message has no payload that is text")]
    Payload,
    /// A header is missing or has another form.
    #[error("the header {0} is missing or cannot be read")]
    Header(&'static str),
}

/// The event that a message holds, as it stands in the log.
///
/// # Errors
/// [`MessageError`] for a message that the relay did not write.
pub fn decode(message: &impl Message) -> Result<RecordedEvent, MessageError> {
    let payload = message.payload().and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(MessageError::Payload)?;
    let headers = message.headers();
    let find = |name: &'static str| {
        let mut all = headers.into_iter().flat_map(Headers::iter);
        let value = all.find(|header| header.key == name).and_then(|header| header.value);
        value.and_then(|bytes| std::str::from_utf8(bytes).ok())
    };
    let text = |name: &'static str| find(name).ok_or(MessageError::Header(name));
    let source = text("ce_source")?;
    let metadata = Metadata {
        actor: text("ce_actor")?.to_owned(),
        command_id: parsed("ce_commandid", text("ce_commandid")?)?,
        correlation_id: parsed("ce_correlationid", text("ce_correlationid")?)?,
        causation_id: find("ce_causationid").map(|id| parsed("ce_causationid", id)).transpose()?,
        traceparent: find("ce_traceparent").map(ToOwned::to_owned),
    };
    let metadata = serde_json::to_string(&metadata).map_err(|_| MessageError::Header("ce_actor"))?;
    let tenant = TenantId::as_stored(text("ce_tenant")?.to_owned());
    let category = source.rsplit('/').next().ok_or(MessageError::Header("ce_source"))?;
    let stream = StreamKey { tenant, category: category.into(), id: parsed("ce_subject", text("ce_subject")?)? };
    let event_id = parsed("ce_id", text("ce_id")?)?;
    let (name, schema_version) = (text("ce_type")?.to_owned(), parsed("ce_schemaversion", text("ce_schemaversion")?)?);
    let content_hash = content_hash(&stream, event_id, &name, schema_version, payload, &metadata).to_vec();
    Ok(RecordedEvent {
        position: Position::from(parsed::<u64>("ce_position", text("ce_position")?)?),
        stream,
        version: Version::from(parsed::<u64>("ce_streamversion", text("ce_streamversion")?)?),
        event_id,
        name,
        schema_version,
        payload: payload.to_owned(),
        metadata,
        recorded_at: parsed::<DateTime<Utc>>("ce_time", text("ce_time")?)?,
        content_hash,
    })
}

fn parsed<T: FromStr>(name: &'static str, text: &str) -> Result<T, MessageError> {
    text.parse().map_err(|_| MessageError::Header(name))
}
