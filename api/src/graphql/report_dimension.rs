//! The dimensions of a report, its filters, and the period that it is compared with.

use super::errors;
use super::ids::Kind;
use super::scalars::Timestamp;
use async_graphql::{Enum, ID, InputObject, MaybeUndefined, Result};
use projections as models;

/// Dimension by which a report groups or filters calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "projections::Dimension")]
pub(crate) enum Dimension {
    /// Agent that made the call.
    Agent,
    /// User that the call was made for, by an id that the source gives.
    User,
    /// Team that the call was made for.
    Team,
    /// Name or id of the API key that the call was made with.
    Key,
    /// Provider that served the call.
    Provider,
    /// Model that served the call.
    Model,
    /// Tool that was called.
    Tool,
    /// How the call ended: `ok`, `error`, `timeout`, `cancelled` or `refused`.
    Outcome,
    /// Source of the first record of the call, such as `claude-code`.
    Source,
    /// Task that the call was made for.
    Task,
    /// Task graph that the call was made for.
    Dag,
    /// Conversation that the call is a part of, by its id in the source.
    Conversation,
    /// Value of the tag with the key `tagKey` of the report. If the report is summed up from sums by the tag, null stands for
    /// the calls that are not counted under the key: those without the tag, and those that were reported while the key was not
    /// declared, and not since.
    Tag,
    /// Minute in which the call started, such as `2023-11-14T22:13Z`. No sums are kept by minutes: such a report reads the calls.
    Minute,
    /// Quarter of an hour in which the call started, such as `2023-11-14T22:15Z`. A change of the clocks within it begins a new one.
    QuarterHour,
    /// Hour in which the call started, such as `2023-11-14T22:00Z`, or `2023-11-14T23:00+01:00` in a zone with another offset. The
    /// two hours that clocks call the same at the end of daylight-saving time are two.
    Hour,
    /// Day on which the call started, such as `2023-11-14`.
    Day,
    /// Week in which the call started, such as `2023-W46`: those of ISO 8601, which begin on Monday.
    Week,
    /// Month in which the call started, such as `2023-11`.
    Month,
    /// Quarter of a year in which the call started, such as `2023-Q4`.
    Quarter,
    /// Year in which the call started, such as `2023`.
    Year,
}

impl Dimension {
    /// The kind of the objects whose ids are the values of the dimension; none for other values.
    pub(super) fn kind(self) -> Option<Kind> {
        match self {
            Self::Agent => Some(Kind::Agent),
            Self::Task => Some(Kind::Task),
            Self::Dag => Some(Kind::Dag),
            Self::User
            | Self::Team
            | Self::Key
            | Self::Provider
            | Self::Model
            | Self::Tool
            | Self::Outcome
            | Self::Source
            | Self::Conversation
            | Self::Tag
            | Self::Minute
            | Self::QuarterHour
            | Self::Hour
            | Self::Day
            | Self::Week
            | Self::Month
            | Self::Quarter
            | Self::Year => None,
        }
    }
}

/// Condition on one dimension of calls.
#[derive(Debug, Clone, InputObject)]
pub(crate) struct UsageFilter {
    /// The dimension.
    pub(super) dimension: Dimension,
    /// Value that calls must have, as in the keys of a report; for agents, tasks and task graphs, their global id or UUID.
    /// Null selects calls that have no value. It must be given, so that a variable without a value does not select them.
    pub(super) value: MaybeUndefined<String>,
}

impl UsageFilter {
    pub(super) fn check(self) -> Result<models::ReportFilter> {
        let value = match (self.dimension.kind(), self.value) {
            (_, MaybeUndefined::Undefined) => {
                let text = "a filter needs a value; null selects the calls that have none";
                return Err(errors::bad_input("BAD_FILTER", text));
            }
            (_, MaybeUndefined::Null) => None,
            (Some(kind), MaybeUndefined::Value(id)) => Some(kind.parse(&ID(id))?.to_string()),
            (None, MaybeUndefined::Value(value)) => Some(value),
        };
        models::ReportFilter::new(self.dimension.into(), value.as_deref())
            .map_err(|error| errors::bad_input("BAD_FILTER", error.to_string()))
    }
}

/// Period that a report is compared with: `previous`, or `from` and `to`.
#[derive(Debug, Clone, Copy, InputObject)]
pub(crate) struct ComparedPeriod {
    /// Whether it is the period before that of the report, in the calendar of its time zone: as many months before, if both of its
    /// limits are the first midnight of a month, as many days before, if both are midnights, and else as much time before.
    previous: Option<bool>,
    /// Includes calls that started at or after this time, which must be the start of a quarter of an hour.
    from: Option<Timestamp>,
    /// Includes calls that started before this time, which must be the start of a quarter of an hour.
    to: Option<Timestamp>,
}

impl ComparedPeriod {
    pub(super) fn check(self) -> Result<models::BasePeriod> {
        match (self.previous.unwrap_or(false), self.from, self.to) {
            (true, None, None) => Ok(models::BasePeriod::Previous),
            (false, Some(from), Some(to)) => Ok(models::BasePeriod::With { from: from.0, to: to.0 }),
            _ => {
                let message = "a period to compare with is either the previous one, or has a start and an end";
                Err(errors::bad_input("BAD_COMPARISON", message))
            }
        }
    }

    #[cfg(test)]
    pub(super) fn previous() -> Self {
        Self { previous: Some(true), from: None, to: None }
    }
}
