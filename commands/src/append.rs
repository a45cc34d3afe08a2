//! The append that a decision becomes, and the ids of its events.

use crate::context::Context;
use crate::kind::AggregateKey;
use crate::states::Member;
use domain::derived_id;
use std::collections::{BTreeMap, VecDeque};
use streams::{Append, Expected, StreamAppend, StreamKey};
use uuid::Uuid;

/// Builds the append of a decision, whose events it takes out of the members. It expects each stream at the version that the decision rests on. The target comes
/// first, the others in the order of their keys.
pub(crate) fn build_append(
    context: &Context,
    target: &AggregateKey,
    may_change_others: bool,
    members: &mut BTreeMap<AggregateKey, Member>,
) -> Append {
    let mut streams = VecDeque::with_capacity(members.len());
    for (key, member) in members {
        let stream = StreamAppend {
            category: key.stream.category.clone(),
            id: key.stream.id,
            expected: Expected::Exact(member.before.version),
            events: std::mem::take(&mut member.events),
        };
        if key == target { streams.push_front(stream) } else { streams.push_back(stream) }
    }
    Append {
        tenant: context.tenant.clone(),
        metadata: context.metadata(),
        request: context.request,
        streams: streams.into(),
        may_change_others,
    }
}

/// The id of an event. It is derived from everything that distinguishes the event from others, so that a retry of the
/// command writes the same ids. The derivation never changes: consumers deduplicate by event id.
pub(crate) fn event_id(stream: &StreamKey, command_id: Uuid, index: usize) -> Uuid {
    let (id, command, index) = (stream.id.to_string(), command_id.to_string(), index.to_string());
    derived_id(&["event", stream.tenant.as_str(), &stream.category, &id, &command, &index])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states::States;
    use domain::Aggregate;
    use domain::agent::{Agent, AgentCommand};
    use domain::task::Task;
    use streams::Version;

    #[test]
    fn an_append_expects_the_versions_decided_on_and_begins_with_its_target() {
        let context = Context::new("default".parse().unwrap(), "ada", Uuid::from_u128(9));
        let key = |id| AggregateKey::of::<Agent>(&context.tenant, Uuid::from_u128(id));
        let task = AggregateKey::of::<Task>(&context.tenant, Uuid::from_u128(1));
        let loaded = [(key(1), 7), (key(2), 5), (task.clone(), 3)]
            .map(|(key, version)| (key.clone(), crate::kind::AnyLoaded { version: Version::from(version), ..key.initial() }));
        let loaded = BTreeMap::from(loaded);
        let mut states = States::new(&context, &loaded);
        states.get::<Agent>(Uuid::from_u128(1)).unwrap();
        states.get::<Task>(Uuid::from_u128(1)).unwrap();
        let register = AgentCommand::Register {
            profile: serde_json::from_str(r#"{"name":"ada"}"#).unwrap(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        let events = Agent::default().decide(register).unwrap();
        states.append::<Agent, ()>(Uuid::from_u128(2), events).unwrap();
        let append = build_append(&context, &task, true, &mut states.members);
        assert_eq!(append.metadata.command_id, context.command_id);
        let found: Vec<_> = append
            .streams
            .iter()
            .map(|stream| (&*stream.category, stream.id.as_u128(), stream.expected, stream.events.len()))
            .collect();
        let exact = |version| Expected::Exact(Version::from(version));
        assert_eq!(found, [("task", 1, exact(3), 0), ("agent", 1, exact(7), 0), ("agent", 2, exact(5), 1)]);
        assert_eq!(append.streams[2].events[0].event_id, event_id(&key(2).stream, context.command_id, 0));
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
