//! The append that a decision becomes, and the ids of its events.

use crate::context::Context;
use crate::error::Error;
use domain::{EventCodec, derived_id};
use std::sync::Arc;
use streams::{Append, Expected, NewEvent, StreamAppend, StreamKey, Version};
use uuid::Uuid;

/// A stream whose version an append depends on without changing it.
pub(crate) struct Guard {
    pub(crate) category: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) version: Version,
}

/// Builds the append of a command's events. It expects the stream, and each guard stream, at its loaded version.
///
/// # Errors
/// [`Error::Encode`] if an event cannot be written as JSON.
pub(crate) fn build_append<E: EventCodec, R: std::error::Error + 'static>(
    context: &Context,
    key: &StreamKey,
    expected: Version,
    events: &[E],
    guards: Vec<Guard>,
) -> Result<Append, Error<R>> {
    let events = events
        .iter()
        .enumerate()
        .map(|(index, event)| NewEvent::encode(event_id(key, context.command_id, index), event))
        .collect::<Result<_, _>>()?;
    let own = StreamAppend { category: key.category.clone(), id: key.id, expected: Expected::Exact(expected), events };
    let guards = guards.into_iter().map(|guard| StreamAppend {
        category: guard.category,
        id: guard.id,
        expected: Expected::Exact(guard.version),
        events: Vec::new(),
    });
    Ok(Append {
        tenant: context.tenant.clone(),
        metadata: context.metadata(),
        request: context.request,
        streams: std::iter::once(own).chain(guards).collect(),
    })
}

/// The id of an event. It is derived from everything that distinguishes the event from others, so that a retry of the
/// command writes the same ids. The derivation never changes: consumers deduplicate by event id.
fn event_id(stream: &StreamKey, command_id: Uuid, index: usize) -> Uuid {
    let (id, command, index) = (stream.id.to_string(), command_id.to_string(), index.to_string());
    derived_id(&["event", stream.tenant.as_str(), &stream.category, &id, &command, &index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Aggregate;
    use domain::agent::{Agent, AgentCommand};
    use std::convert::Infallible;

    #[test]
    fn an_append_expects_the_version_decided_on_and_those_of_the_guards() {
        let context = Context::new("default".parse().unwrap(), "ada", Uuid::from_u128(9));
        let key = StreamKey { tenant: context.tenant.clone(), category: "task".into(), id: Uuid::from_u128(1) };
        let register = AgentCommand::Register {
            profile: serde_json::from_str(r#"{"name":"ada"}"#).unwrap(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        let events = Agent::default().decide(register).unwrap();
        let guard = Guard { category: "agent".into(), id: Uuid::from_u128(2), version: Version::from(5) };
        let append = build_append::<_, Infallible>(&context, &key, Version::from(3), &events, vec![guard]).unwrap();
        assert_eq!(append.metadata.command_id, context.command_id);
        let [own, guard] = append.streams.as_slice() else { panic!("{:?}", append.streams) };
        assert_eq!((own.id, &own.expected), (key.id, &Expected::Exact(Version::from(3))));
        assert_eq!(own.events.len(), 1);
        assert_eq!(own.events[0].event_id, event_id(&key, context.command_id, 0));
        assert_eq!((guard.id, &guard.expected), (Uuid::from_u128(2), &Expected::Exact(Version::from(5))));
        assert!(guard.events.is_empty(), "a guard stream is not changed");
    }

    /// Golden: if an id changed, every retry of an old command would write different events.
    #[test]
    fn event_ids_differ_by_tenant_stream_command_and_index_and_never_change() {
        let key = |tenant: &str, category: &str, id| StreamKey {
            tenant: tenant.parse().unwrap(),
            category: category.into(),
            id: Uuid::from_u128(id),
        };
        let ids = [
            event_id(&key("default", "call", 1), Uuid::from_u128(2), 0),
            event_id(&key("default", "call", 1), Uuid::from_u128(2), 1),
            event_id(&key("default", "call", 1), Uuid::from_u128(3), 0),
            event_id(&key("default", "call", 2), Uuid::from_u128(2), 0),
            event_id(&key("default", "task", 1), Uuid::from_u128(2), 0),
            event_id(&key("other", "call", 1), Uuid::from_u128(2), 0),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        assert_eq!(ids[0].to_string(), "b4d11f4c-c8ad-591d-86b6-21faffa687db");
    }
}
