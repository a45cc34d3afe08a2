//! The ids of events.

use domain::derived_id;
use streams::StreamKey;
use uuid::Uuid;

/// The id of an event. It is derived from everything that distinguishes the event from others, so that a retry of the
/// command writes the same ids. The derivation never changes: consumers deduplicate by event id.
pub(crate) fn event_id(stream: &StreamKey, command_id: Uuid, index: usize) -> Uuid {
    let (id, command, index) = (stream.id.to_string(), command_id.to_string(), index.to_string());
    derived_id(&["event", stream.tenant.as_str(), &stream.category, &id, &command, &index])
}

#[cfg(test)]
mod tests {
    use super::*;

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
