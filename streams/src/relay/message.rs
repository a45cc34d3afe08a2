//! An event as a message: a CloudEvent in the binary mode of its Kafka binding, and back.

use crate::{Metadata, Position, RecordedEvent, StreamKey, Version, content_hash};
use chrono::{DateTime, Utc};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use std::str::FromStr;
use thiserror::Error;

/// The key: all events of a stream are in one partition.
pub(super) fn key(event: &RecordedEvent) -> String {
    event.stream.id.to_string()
}

/// The headers of CloudEvents' binary mode; all but the first six and the content type are extensions, of which
/// `traceparent` has its own specification.
pub(super) fn headers(event: &RecordedEvent) -> OwnedHeaders {
    let source = format!("/apex/{}/{}", event.stream.tenant, event.stream.category);
    let mut values = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", event.event_id.to_string()),
        ("ce_source", source),
        ("ce_type", event.name.clone()),
        ("ce_subject", event.stream.id.to_string()),
        ("ce_time", event.recorded_at.to_rfc3339()),
        ("content-type", "application/json".to_owned()),
        ("ce_position", event.position.to_string()),
        ("ce_streamversion", event.version.to_string()),
        ("ce_schemaversion", event.schema_version.to_string()),
        ("ce_tenant", event.stream.tenant.to_string()),
    ];
    if let Ok(metadata) = event.metadata() {
        values.push(("ce_actor", metadata.actor));
        values.push(("ce_commandid", metadata.command_id.to_string()));
        values.push(("ce_correlationid", metadata.correlation_id.to_string()));
        values.extend(metadata.causation_id.map(|id| ("ce_causationid", id.to_string())));
        values.extend(metadata.traceparent.map(|traceparent| ("ce_traceparent", traceparent)));
    }
    values.iter().fold(OwnedHeaders::new_with_capacity(values.len()), |headers, (key, value)| {
        headers.insert(Header { key, value: Some(value) })
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
    let tenant = text("ce_tenant")?.to_owned().try_into().map_err(|_| MessageError::Header("ce_tenant"))?;
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
