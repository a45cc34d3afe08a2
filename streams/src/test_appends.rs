//! Appends for unit tests.

use crate::append::{Append, Chain, Chains, Expected, NewEvent, StreamAppend};
use crate::event::Metadata;
use crate::queued_append::{PendingAppend, QueuedAppend};
use domain::TenantId;
use uuid::Uuid;

/// An append under a command id.
pub(crate) fn append(command: u128, streams: Vec<StreamAppend>) -> Append {
    let id = Uuid::from_u128(command);
    let metadata = Metadata {
        actor: "test".to_owned(),
        command_id: id,
        correlation_id: id,
        causation_id: None,
        traceparent: None,
    };
    Append {
        tenant: TenantId::from_stored("default".to_owned()),
        metadata,
        request: None,
        streams,
        may_change_others: false,
    }
}

/// A number of events for a stream.
pub(crate) fn stream(id: u128, expected: Expected, events: usize) -> StreamAppend {
    let event = |n| NewEvent {
        event_id: Uuid::from_u128(n),
        name: "task.progressed",
        schema_version: 1,
        payload: r#"{"percent":50}"#.to_owned(),
    };
    let events = (0..events as u128).map(event).collect();
    StreamAppend { category: "task".into(), id: Uuid::from_u128(id), expected, events }
}

/// The append in the form in which it is queued.
pub(crate) fn queued(append: Append, chain: Option<&Chain>) -> (QueuedAppend, PendingAppend) {
    let chains = Chains { changed: chain.cloned().into_iter().collect(), read: Vec::new() };
    QueuedAppend::prepare(append, chains).unwrap()
}
