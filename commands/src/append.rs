//! The append that a decision becomes.

use crate::context::Context;
use crate::kind::AggregateKey;
use crate::states::Member;
use std::collections::BTreeMap;
use streams::{Append, Expected, StreamAppend};

/// Builds the append of a decision, whose events it takes out of the members. It expects each stream at the version that the
/// decision rests on. The target comes first, the others in the order in which the decision changed them.
pub(crate) fn build_append(
    context: &Context,
    target: &AggregateKey,
    may_change_others: bool,
    members: &mut BTreeMap<AggregateKey, Member>,
) -> Append {
    let mut members: Vec<_> = members.iter_mut().collect();
    members.sort_by_key(|(key, member)| member.append_order(key, target));
    let streams = members.into_iter().map(|(key, member)| StreamAppend {
        category: key.stream.category.clone(),
        id: key.stream.id,
        expected: Expected::Exact(member.before.version),
        events: std::mem::take(&mut member.events),
    });
    Append {
        tenant: context.principal.tenant().clone(),
        metadata: context.metadata(),
        request: context.request,
        streams: streams.collect(),
        may_change_others,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event_id::event_id;
    use crate::principal::Principal;
    use crate::states::States;
    use domain::Aggregate;
    use domain::agent::{Agent, AgentCommand};
    use domain::task::Task;
    use streams::Version;
    use uuid::Uuid;

    #[test]
    fn an_append_expects_the_versions_decided_on_and_begins_with_its_target() {
        let context = Context::new(Principal::command_line("default".parse().unwrap()), Uuid::from_u128(9));
        let key = |id| AggregateKey::of::<Agent>(context.principal.tenant(), Uuid::from_u128(id));
        let task = AggregateKey::of::<Task>(context.principal.tenant(), Uuid::from_u128(1));
        let loaded = [(key(1), 7), (key(2), 5), (task.clone(), 3)].map(|(key, version)| {
            let loaded = crate::kind::AnyLoaded { version: Version::from(version), ..key.initial() };
            (key, crate::cache::Newest { loaded, chain: None })
        });
        let loaded = BTreeMap::from(loaded);
        let mut newest = |key: &AggregateKey| loaded.get(key).cloned();
        let mut states = States::new(&context, &mut newest);
        states.get::<Agent>(Uuid::from_u128(1)).unwrap();
        states.get::<Task>(Uuid::from_u128(1)).unwrap();
        let register = AgentCommand::Register {
            profile: serde_json::from_str(r#"{"name":"ada"}"#).unwrap(),
            at: chrono::DateTime::UNIX_EPOCH,
        };
        let events = Agent::default().decide(register).unwrap();
        // The order of changes, not of keys.
        for id in [2, 1] {
            states.append::<Agent, ()>(Uuid::from_u128(id), events.clone()).unwrap();
        }
        let append = build_append(&context, &task, true, &mut states.members);
        assert_eq!(append.metadata.command_id, context.command_id);
        let found: Vec<_> = append
            .streams
            .iter()
            .map(|stream| (&*stream.category, stream.id.as_u128(), stream.expected, stream.events.len()))
            .collect();
        let exact = |version| Expected::Exact(Version::from(version));
        assert_eq!(found, [("task", 1, exact(3), 0), ("agent", 2, exact(5), 1), ("agent", 1, exact(7), 1)]);
        assert_eq!(append.streams[1].events[0].event_id, event_id(&key(2).stream, context.command_id, 0));
    }
}
