//! What a report is summed from: the dimensions that it groups by and filters on decide it.

use super::dimension::{Dimension, Kept};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::Meter;
use domain::call::Outcome;
use std::collections::BTreeSet;
use std::fmt;

/// The maximum number of calls that a report reads which no rollup answers.
pub const MAX_REPORT_CALLS: i64 = 100_000;

/// What a report is summed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// Sums by quarter of an hour and all dimensions with few values.
    QuarterHours,
    /// Sums by day and this dimension: task, task graph or conversation.
    Days(Dimension),
    /// The calls themselves, at most [`MAX_REPORT_CALLS`]: no sums are kept by the combination of dimensions.
    Calls,
}

impl fmt::Display for UsageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuarterHours => f.write_str("sums by quarter hour"),
            Self::Days(dimension) => write!(f, "sums by day and {dimension}"),
            Self::Calls => f.write_str("calls"),
        }
    }
}

impl UsageSource {
    /// The dimensions that an index of the calls begins with, before the time; first those whose values have the fewest
    /// calls.
    pub(super) const INDEXED: &'static [Dimension] =
        &[Dimension::Task, Dimension::Conversation, Dimension::Dag, Dimension::Agent];

    /// The source that answers a report with these dimensions, grouped by or filtered on, and this time range, whose limits
    /// are quarters of an hour.
    pub(super) fn of(dimensions: &BTreeSet<Dimension>, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> Self {
        let daily = of_days(dimensions);
        match daily.first() {
            None => Self::QuarterHours,
            Some(only) if answered_by_days(dimensions, *only).len() == dimensions.len() && are_days(from, to) => {
                Self::Days(*only)
            }
            Some(_) => Self::Calls,
        }
    }

    /// Whether a report by these dimensions, grouped by or filtered on, and this time range reads the calls themselves.
    #[must_use]
    pub fn is_calls(
        dimensions: impl IntoIterator<Item = Dimension>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> bool {
        Self::of(&dimensions.into_iter().collect(), from, to) == Self::Calls
    }

    /// The rows of the source, as `u`, with a column for each dimension that it answers, and the columns of the sums.
    pub(super) fn rows(self) -> String {
        match self {
            Self::QuarterHours => "apex.usage_quarter_hourly u".to_owned(),
            Self::Days(dimension) => {
                format!("(select d.*, d.day as hour from apex.usage_daily d where d.dimension = '{dimension}') u")
            }
            Self::Calls => {
                let meters = Meter::ALL.iter();
                let meters =
                    meters.map(|meter| format!("(c.usage ->> '{}')::numeric as {}", meter.name(), meter.column()));
                // As `CallFacts::failed`.
                let failures = Outcome::ALL.into_iter().filter(|outcome| outcome.is_failure());
                let failures = failures.map(|outcome| format!("'{}'", outcome.as_str())).collect::<Vec<_>>().join(", ");
                format!(
                    "(select c.*, date_trunc('hour', c.started_at, 'UTC') as hour,
                             date_bin('15 minutes', c.started_at, 'epoch') as quarter,
                             (c.kind = 'llm')::int as calls, (c.kind = 'tool')::int as tool_calls,
                             coalesce(c.outcome in ({failures}), c.error is not null)::int as failed_calls,
                             (c.kind = 'llm' and c.cost is null)::int as unpriced_calls, {}
                      from apex.calls c) u",
                    meters.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// The condition that a row is not before a time. It is on the columns of the source's index.
    pub(super) fn since(self, time: &str) -> String {
        match self {
            Self::QuarterHours => format!("u.hour >= date_trunc('hour', {time}, 'UTC') and u.quarter >= {time}"),
            Self::Days(_) => format!("u.day >= {time}"),
            Self::Calls => format!("u.started_at >= {time}"),
        }
    }

    /// The condition that a row is before a time. It is on the columns of the source's index.
    pub(super) fn before(self, time: &str) -> String {
        match self {
            Self::QuarterHours => format!("u.hour <= date_trunc('hour', {time}, 'UTC') and u.quarter < {time}"),
            Self::Days(_) => format!("u.day < {time}"),
            Self::Calls => format!("u.started_at < {time}"),
        }
    }
}

/// The largest part of these dimensions by which sums are kept, for the message of a report that would read too many
/// calls.
pub(super) fn nearest(dimensions: &BTreeSet<Dimension>) -> String {
    let few = dimensions.iter().copied().filter(|by| by.is_time() || by.definition().kept == Kept::QuarterHours);
    let mut found: Vec<Dimension> = few.collect();
    let mut remark = "";
    for dimension in of_days(dimensions) {
        let answered = answered_by_days(dimensions, dimension);
        // Time alone says little, so that a dimension beside it is preferred.
        let value = |by: &[Dimension]| (by.iter().filter(|by| !by.is_time()).count(), by.len());
        if value(&answered) > value(&found) {
            (found, remark) = (answered, " over whole days (UTC)");
        }
    }
    list(&found) + remark
}

/// Dimensions as the text of a message.
pub(super) fn list<'d>(dimensions: impl IntoIterator<Item = &'d Dimension>) -> String {
    dimensions.into_iter().map(|dimension| dimension.as_str()).collect::<Vec<_>>().join(", ")
}

/// The dimensions, other than time, by which sums are kept by day only.
fn of_days(dimensions: &BTreeSet<Dimension>) -> Vec<Dimension> {
    dimensions.iter().copied().filter(|by| !by.is_time() && by.definition().kept == Kept::Days).collect()
}

/// Those of the dimensions that the sums by day and one dimension answer.
fn answered_by_days(dimensions: &BTreeSet<Dimension>, dimension: Dimension) -> Vec<Dimension> {
    let is_answered = |by: &Dimension| *by == dimension || (by.is_time() && by.definition().kept == Kept::Days);
    dimensions.iter().copied().filter(is_answered).collect()
}

/// Whether a time range consists of whole days in UTC.
fn are_days(from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> bool {
    [from, to].into_iter().flatten().all(|limit| limit.duration_trunc(TimeDelta::days(1)).ok() == Some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dimension::{
        Agent, Conversation, Dag, Day, Hour, Key, Model, Month, Outcome, Provider, QuarterHour, Source, Task, Team,
        Tool, User,
    };

    fn source(dimensions: &[Dimension], from: &str, to: &str) -> UsageSource {
        UsageSource::of(&dimensions.iter().copied().collect(), from.parse().ok(), to.parse().ok())
    }

    #[test]
    fn the_dimensions_and_the_time_range_choose_the_source() {
        let (day, next, quarter) = ("2023-09-01T00:00:00Z", "2023-09-02T00:00:00Z", "2023-09-01T18:15:00Z");
        for (dimensions, from, to, expected) in [
            (&[][..], "", "", UsageSource::QuarterHours),
            (&[], quarter, "", UsageSource::QuarterHours),
            (&[Agent, User, Team, Key, Provider, Model, Tool, Outcome, Source], "", "", UsageSource::QuarterHours),
            (&[Model, QuarterHour], quarter, next, UsageSource::QuarterHours),
            (&[Hour, Day, Month], day, next, UsageSource::QuarterHours),
            (&[Task], "", "", UsageSource::Days(Task)),
            (&[Dag, Day], day, next, UsageSource::Days(Dag)),
            (&[Conversation, Month, Day], day, "", UsageSource::Days(Conversation)),
            (&[Task], quarter, "", UsageSource::Calls),
            (&[Task], day, quarter, UsageSource::Calls),
            (&[Task, Hour], day, next, UsageSource::Calls),
            (&[Task, QuarterHour], "", "", UsageSource::Calls),
            (&[Task, Model], "", "", UsageSource::Calls),
            (&[Task, Dag], "", "", UsageSource::Calls),
            (Dimension::ALL, "", "", UsageSource::Calls),
        ] {
            assert_eq!(source(dimensions, from, to), expected, "{dimensions:?} from {from:?} to {to:?}");
        }
    }

    #[test]
    fn every_dimension_alone_is_answered_by_sums() {
        for dimension in Dimension::ALL {
            assert_ne!(source(&[*dimension], "", ""), UsageSource::Calls, "{dimension}");
        }
    }

    #[test]
    fn the_nearest_combination_is_the_largest_that_sums_are_kept_by() {
        for (dimensions, expected) in [
            (&[Task, Model, Agent, Hour][..], "agent, model, hour"),
            (&[Task, Model], "model"),
            (&[Task, Hour], "task over whole days (UTC)"),
            (&[Conversation, QuarterHour, Day], "conversation, day over whole days (UTC)"),
            (&[Task, Dag, Month], "task, month over whole days (UTC)"),
            (&[Task], "task over whole days (UTC)"),
        ] {
            assert_eq!(nearest(&dimensions.iter().copied().collect()), expected, "{dimensions:?}");
        }
    }

    #[test]
    fn a_source_says_in_words_what_it_is() {
        for (source, words) in [
            (UsageSource::QuarterHours, "sums by quarter hour"),
            (UsageSource::Days(Conversation), "sums by day and conversation"),
            (UsageSource::Calls, "calls"),
        ] {
            assert_eq!(source.to_string(), words);
        }
    }
}
