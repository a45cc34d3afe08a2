//! Values that many tests need and few care about.

use chrono::{DateTime, TimeZone, Utc};
use domain::{Name, TenantId};
use serde_json::Value;
use streams::{Append, Expected, Metadata, NewEvent, StreamAppend};
use uuid::Uuid;

/// The tenant of a server that names no other.
pub fn tenant() -> TenantId {
    "default".parse().unwrap()
}

/// A valid name.
pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A time, by the seconds since an arbitrary start in November 2023.
pub fn at(second: i64) -> DateTime<Utc> {
    Utc.timestamp_opt(1_700_000_000 + second, 0).unwrap()
}

/// The metadata of a command with a new id.
pub fn metadata() -> Metadata {
    let command_id = Uuid::new_v4();
    Metadata { actor: "test".to_owned(), command_id, correlation_id: command_id, causation_id: None, traceparent: None }
}

/// An event with a new id. Its payload has spaces that a JSON parser would not preserve.
pub fn event(text: &str) -> NewEvent {
    NewEvent {
        event_id: Uuid::new_v4(),
        name: "task.started",
        schema_version: 1,
        payload: format!("{{\"at\": \"2023-11-16T18:17:03Z\", \"note\":  \"{text}\"}}"),
    }
}

/// Appends a number of events to a stream of the category `task`.
pub fn stream(id: Uuid, expected: Expected, events: usize) -> StreamAppend {
    StreamAppend { category: "task".into(), id, expected, events: (0..events).map(|n| event(&n.to_string())).collect() }
}

/// An append by a new command without a request hash.
pub fn append(streams: Vec<StreamAppend>) -> Append {
    Append { tenant: tenant(), metadata: metadata(), request: None, streams, may_change_others: false }
}

/// The payload of `call.recorded` for a new call, with a cost.
pub fn call_payload() -> String {
    let golden = include_str!("../../domain/tests/golden/call.recorded.v1.json");
    let mut payload: Value = serde_json::from_str(golden).unwrap();
    payload.as_object_mut().unwrap().remove("absorbed").unwrap();
    payload.to_string()
}

/// An append that records a new call, with a cost.
pub fn call_append() -> Append {
    let payload = call_payload();
    let event = NewEvent { event_id: Uuid::now_v7(), name: "call.recorded", schema_version: 1, payload };
    let stream =
        StreamAppend { category: "call".into(), id: Uuid::now_v7(), expected: Expected::Any, events: vec![event] };
    append(vec![stream])
}

/// The path of a file in `samples/`.
pub fn sample(name: &str) -> String {
    crate::repository().join("samples").join(name).to_string_lossy().into_owned()
}
