//! The dimensions of the usage report, and the text of their values.

use chrono::{DateTime, NaiveDateTime, Utc};
use uuid::Uuid;

/// A dimension that a report can be grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The agent.
    Agent,
    /// The provider of the model.
    Provider,
    /// The model that answered.
    Model,
    /// The task.
    Task,
    /// The hour (UTC) in which calls started.
    Hour,
    /// The day (UTC) in which calls started.
    Day,
    /// The month (UTC) in which calls started.
    Month,
}

impl Dimension {
    /// Every dimension.
    pub const ALL: [Self; 7] =
        [Self::Agent, Self::Provider, Self::Model, Self::Task, Self::Hour, Self::Day, Self::Month];

    /// Returns the name that the API and the command line use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Provider => "provider",
            Self::Model => "model",
            Self::Task => "task",
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    pub(super) fn is_time(self) -> bool {
        matches!(self, Self::Hour | Self::Day | Self::Month)
    }

    /// Whether a key of a row can have this value.
    pub(super) fn accepts(self, key: Option<&str>) -> bool {
        match (self, key) {
            (Self::Hour | Self::Day | Self::Month, key) => key.and_then(|key| self.start(key)).is_some(),
            (_, None) => true,
            (Self::Agent | Self::Task, Some(key)) => {
                Uuid::parse_str(key).is_ok_and(|id| id.hyphenated().to_string() == key)
            }
            // PostgreSQL stores no NUL in text.
            (Self::Provider | Self::Model, Some(key)) => !key.contains('\0'),
        }
    }

    /// When the hour, day or month with this key began.
    pub(super) fn start(self, key: &str) -> Option<DateTime<Utc>> {
        let start = match self {
            Self::Hour => key.to_owned(),
            Self::Day => format!("{key}T00:00Z"),
            Self::Month => format!("{key}-01T00:00Z"),
            Self::Agent | Self::Provider | Self::Model | Self::Task => return None,
        };
        Some(NaiveDateTime::parse_from_str(&start, "%Y-%m-%dT%H:%MZ").ok()?.and_utc())
    }
}

/// The time dimensions, the shortest first.
const TIMES: [Dimension; 3] = [Dimension::Hour, Dimension::Day, Dimension::Month];

/// The shortest time dimension of a report, with its index. The longer ones are functions of it.
pub(super) fn finest_time(by: &[Dimension]) -> Option<(usize, Dimension)> {
    TIMES.into_iter().find_map(|time| by.iter().position(|by| *by == time).map(|index| (index, time)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_only_in_the_form_that_reports_give_it() {
        let id = "0190d5a2-7c3e-7a41-9b52-3f6d1c8e2a01";
        for (dimension, key) in [
            (Dimension::Agent, Some(id)),
            (Dimension::Task, None),
            (Dimension::Model, Some("")),
            (Dimension::Hour, Some("2023-09-01T07:00Z")),
            (Dimension::Day, Some("2023-09-01")),
            (Dimension::Month, Some("2023-09")),
        ] {
            assert!(dimension.accepts(key), "{dimension:?} {key:?}");
        }
        let upper = id.to_uppercase();
        for (dimension, key) in [
            (Dimension::Agent, Some(upper.as_str())),
            (Dimension::Task, Some("7")),
            (Dimension::Provider, Some("a\0b")),
            (Dimension::Hour, None),
            (Dimension::Day, Some("2023-09-01T07:00Z")),
            (Dimension::Month, Some("2023-13")),
        ] {
            assert!(!dimension.accepts(key), "{dimension:?} {key:?}");
        }
    }

    #[test]
    fn the_finest_time_is_the_shortest_wherever_it_is_named() {
        assert_eq!(finest_time(&[Dimension::Month, Dimension::Model, Dimension::Day]), Some((2, Dimension::Day)));
        assert_eq!(finest_time(&[Dimension::Model]), None);
    }
}
