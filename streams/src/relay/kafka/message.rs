//! Converts between events and Kafka messages: CloudEvents in the binary mode of the Kafka protocol binding.

use crate::event::{Metadata, Position, RecordedEvent, StreamKey, Version, content_hash};
use crate::relay::headers::HEADERS;
use chrono::{DateTime, Utc};
use domain::TenantId;
use rdkafka::message::{Header, Headers, Message, OwnedHeaders};
use std::str::FromStr;
use thiserror::Error;

/// The message key: the stream's id, so that all events of a stream are in one partition.
pub(super) fn key(event: &RecordedEvent) -> String {
    event.stream.id.to_string()
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

/// Why a message is not one that the relay published.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MessageError {
    /// The payload is missing or not UTF-8.
    #[error("the message has no payload, or one that is not UTF-8")]
    Payload,
    /// A header is missing or cannot be parsed.
    #[error("the header {0} is missing or cannot be parsed")]
    Header(&'static str),
}

/// Restores the recorded event from a message.
///
/// # Errors
/// [`MessageError`] when the message was not published by the relay: its payload or a header is missing or not valid.
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
    let tenant = TenantId::from_stored(text("ce_tenant")?.to_owned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;
    use rdkafka::Timestamp;
    use rdkafka::message::OwnedMessage;

    fn message(payload: Option<Vec<u8>>, headers: Option<OwnedHeaders>) -> OwnedMessage {
        OwnedMessage::new(payload, None, "apex.task".to_owned(), Timestamp::NotAvailable, 0, 0, headers)
    }

    #[test]
    fn a_message_restores_the_event_it_was_made_from() {
        let event = event(12);
        let message = message(Some(event.payload.clone().into_bytes()), Some(headers(&event)));
        assert_eq!(decode(&message).unwrap(), event);
    }

    #[test]
    fn a_message_without_a_required_header_names_the_header() {
        let event = event(12);
        let payload = || Some(event.payload.clone().into_bytes());
        for (missing, _, _, _) in HEADERS.iter().filter(|header| header.1) {
            let all = headers(&event);
            let kept = all.iter().filter(|header| header.key != *missing);
            let kept = kept.fold(OwnedHeaders::new(), |headers, header| headers.insert(header));
            match decode(&message(payload(), Some(kept))) {
                Err(MessageError::Header(name)) => assert_eq!(name, *missing),
                decoded => assert!(["ce_specversion", "content-type"].contains(missing), "{missing}: {decoded:?}"),
            }
        }
        assert_eq!(decode(&message(payload(), None)), Err(MessageError::Header("ce_source")));
    }

    #[test]
    fn a_message_without_a_text_payload_is_refused() {
        let headers = || Some(headers(&event(12)));
        assert_eq!(decode(&message(None, headers())), Err(MessageError::Payload));
        assert_eq!(decode(&message(Some(vec![0xff]), headers())), Err(MessageError::Payload));
    }
}
