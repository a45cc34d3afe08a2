//! Which events a reader wants.

use crate::event::RecordedEvent;
use domain::TenantId;
use uuid::Uuid;

/// Selects events; the default selects all. Conditions are combined with AND.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadFilter {
    /// Only events of this tenant.
    pub tenant: Option<TenantId>,
    /// Only events of this category.
    pub category: Option<String>,
    /// Only events of one of these types; empty for all types.
    pub types: Vec<String>,
    /// Only events of the stream with this id.
    pub stream_id: Option<Uuid>,
}

impl ReadFilter {
    /// Whether the filter selects an event.
    #[must_use]
    pub fn matches(&self, event: &RecordedEvent) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == event.stream.tenant)
            && self.category.as_deref().is_none_or(|category| category == &*event.stream.category)
            && self.stream_id.is_none_or(|id| id == event.stream.id)
            && (self.types.is_empty() || self.types.contains(&event.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_events::event;

    #[test]
    fn the_default_filter_matches_every_event() {
        assert!(ReadFilter::default().matches(&event(1)));
    }

    #[test]
    fn every_condition_must_match() {
        let event = event(1);
        let all = ReadFilter {
            tenant: Some(event.stream.tenant.clone()),
            category: Some(event.stream.category.to_string()),
            types: vec!["task.started".to_owned(), event.name.clone()],
            stream_id: Some(event.stream.id),
        };
        assert!(all.matches(&event));
        let other_tenant = TenantId::from_stored("other".to_owned());
        assert!(!ReadFilter { tenant: Some(other_tenant), ..all.clone() }.matches(&event));
        assert!(!ReadFilter { category: Some("memory".to_owned()), ..all.clone() }.matches(&event));
        assert!(!ReadFilter { types: vec!["task.started".to_owned()], ..all.clone() }.matches(&event));
        assert!(!ReadFilter { stream_id: Some(Uuid::from_u128(2)), ..all }.matches(&event));
    }
}
