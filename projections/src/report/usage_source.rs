//! What a report is summed from: the dimensions that it groups by and filters on decide it.

use super::dimension::{Dimension, Kept};
use chrono::{DateTime, DurationRound, Utc};
use domain::Meter;
use domain::call::Outcome;
use std::collections::BTreeSet;
use std::fmt;

/// The maximum number of calls that a report reads which no rollup answers.
pub const MAX_REPORT_CALLS: i64 = 100_000;

/// The columns of a source that count calls.
pub(super) const COUNTS: [&str; 4] = ["calls", "tool_calls", "failed_calls", "unpriced_calls"];
/// The columns of a source with other sums, but for those of the meters.
pub(super) const OTHER_SUMS: [&str; 5] =
    ["latency_ms", "cost", "reported_cost", "compared_cost", "compared_reported_cost"];

/// What a report is summed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageSource {
    /// Sums by quarter of an hour and all dimensions with few values.
    QuarterHours,
    /// Sums by day and this dimension: task, task graph or conversation.
    Days(Dimension),
    /// Sums by hour and the values of a declared tag key. The calls that are not counted under the key have no value.
    TagHours,
    /// The calls themselves, at most [`MAX_REPORT_CALLS`]: no sums are kept by the combination of dimensions.
    Calls,
}

impl fmt::Display for UsageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QuarterHours => f.write_str("sums by quarter hour"),
            Self::Days(dimension) => write!(f, "sums by day and {dimension}"),
            Self::TagHours => f.write_str("sums by hour and tag"),
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
    /// are quarters of an hour. Sums by a tag are kept if its key is declared.
    pub(super) fn of(
        dimensions: &BTreeSet<Dimension>,
        is_declared: bool,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Self {
        let Some(only) = kept_alone(dimensions).first().copied() else { return Self::QuarterHours };
        let is_answered = answered_alone(dimensions, only).len() == dimensions.len() && is_on_steps(only, from, to);
        match only.definition().kept {
            Kept::Hours if is_answered && is_declared => Self::TagHours,
            Kept::Days if is_answered => Self::Days(only),
            Kept::QuarterHours | Kept::Hours | Kept::Days => Self::Calls,
        }
    }

    /// Whether a report by these dimensions, grouped by or filtered on, and this time range reads the calls themselves. One by
    /// a tag may, if its key is not declared.
    #[must_use]
    pub fn may_be_calls(
        dimensions: impl IntoIterator<Item = Dimension>,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> bool {
        Self::of(&dimensions.into_iter().collect(), false, from, to) == Self::Calls
    }

    /// The rows of the source, as `u`, with a column for each dimension that it answers, and the columns of the sums. The
    /// argument is the expression for the key of the tag.
    pub(super) fn rows(self, tag: &str) -> String {
        match self {
            Self::QuarterHours => "apex.usage_quarter_hourly u".to_owned(),
            Self::Days(dimension) => {
                format!("(select d.*, d.day as hour from apex.usage_daily d where d.dimension = '{dimension}') u")
            }
            // What is counted under no value is all usage without what is counted under a value.
            Self::TagHours => {
                let sums = |of: &str| {
                    let columns =
                        COUNTS.into_iter().chain(OTHER_SUMS).chain(Meter::ALL.iter().map(|meter| meter.column()));
                    columns.map(|column| format!("{of}.{column} as {column}")).collect::<Vec<_>>().join(", ")
                };
                let (tagged, all, not_tagged) = (sums("t"), sums("q"), sums("-t"));
                format!(
                    "(select t.tenant_id, t.hour, t.tag_value as tag, {tagged}
                      from apex.usage_hourly_by_tag t where t.tag_key = {tag}
                      union all
                      select q.tenant_id, q.hour, null::text, {all} from apex.usage_quarter_hourly q
                      union all
                      select t.tenant_id, t.hour, null::text, {not_tagged}
                      from apex.usage_hourly_by_tag t where t.tag_key = {tag}) u"
                )
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
                             date_bin('15 minutes', c.started_at, 'epoch') as quarter, c.tags ->> {tag} as tag,
                             (c.kind = 'llm')::int as calls, (c.kind = 'tool')::int as tool_calls,
                             coalesce(c.outcome in ({failures}), c.error is not null)::int as failed_calls,
                             (c.kind = 'llm' and c.cost is null)::int as unpriced_calls,
                             case when c.reported_cost is not null then c.cost end as compared_cost,
                             case when c.cost is not null then c.reported_cost end as compared_reported_cost, {}
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
            Self::TagHours => format!("u.hour >= {time}"),
            Self::Calls => format!("u.started_at >= {time}"),
        }
    }

    /// The condition that a row is before a time. It is on the columns of the source's index.
    pub(super) fn before(self, time: &str) -> String {
        match self {
            Self::QuarterHours => format!("u.hour <= date_trunc('hour', {time}, 'UTC') and u.quarter < {time}"),
            Self::Days(_) => format!("u.day < {time}"),
            Self::TagHours => format!("u.hour < {time}"),
            Self::Calls => format!("u.started_at < {time}"),
        }
    }
}

/// The largest part of these dimensions by which sums are kept, for the message of a report that would read too many
/// calls. Sums by a tag are kept if its key is declared.
pub(super) fn nearest(dimensions: &BTreeSet<Dimension>, is_declared: bool) -> String {
    let few = dimensions.iter().copied().filter(|by| by.is_time() || by.definition().kept == Kept::QuarterHours);
    let mut found: Vec<Dimension> = few.collect();
    let mut remark = "";
    for dimension in kept_alone(dimensions) {
        let answered = answered_alone(dimensions, dimension);
        // Time alone says little, so that a dimension beside it is preferred.
        let value = |by: &[Dimension]| (by.iter().filter(|by| !by.is_time()).count(), by.len());
        if value(&answered) > value(&found) {
            let of = match dimension.definition().kept {
                Kept::QuarterHours => "",
                Kept::Hours if is_declared => " over whole hours",
                Kept::Hours => " over whole hours, once its key is declared",
                Kept::Days => " over whole days (UTC)",
            };
            (found, remark) = (answered, of);
        }
    }
    list(&found) + remark
}

/// Dimensions as the text of a message.
pub(super) fn list<'d>(dimensions: impl IntoIterator<Item = &'d Dimension>) -> String {
    dimensions.into_iter().map(|dimension| dimension.as_str()).collect::<Vec<_>>().join(", ")
}

/// The dimensions, other than time, by each of which sums are kept alone.
fn kept_alone(dimensions: &BTreeSet<Dimension>) -> Vec<Dimension> {
    dimensions.iter().copied().filter(|by| !by.is_time() && by.definition().kept != Kept::QuarterHours).collect()
}

/// Those of the dimensions that the sums by one dimension alone answer.
fn answered_alone(dimensions: &BTreeSet<Dimension>, alone: Dimension) -> Vec<Dimension> {
    let kept = alone.definition().kept;
    let is_answered = |by: &Dimension| *by == alone || (by.is_time() && by.definition().kept >= kept);
    dimensions.iter().copied().filter(is_answered).collect()
}

/// Whether a time range consists of whole steps (UTC) of the sums by a dimension.
fn is_on_steps(dimension: Dimension, from: Option<DateTime<Utc>>, to: Option<DateTime<Utc>>) -> bool {
    let step = dimension.definition().kept.step();
    [from, to].into_iter().flatten().all(|limit| limit.duration_trunc(step).ok() == Some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dimension::{
        Agent, Conversation, Dag, Day, Hour, Key, Model, Month, Outcome, Provider, QuarterHour, Source, Tag, Task,
        Team, Tool, User,
    };

    fn source(dimensions: &[Dimension], from: &str, to: &str) -> UsageSource {
        UsageSource::of(&dimensions.iter().copied().collect(), true, from.parse().ok(), to.parse().ok())
    }

    #[test]
    fn a_declared_tag_alone_is_answered_by_its_sums_over_whole_hours() {
        let (hour, day, quarter) = ("2023-09-01T05:00:00Z", "2023-09-02T00:00:00Z", "2023-09-01T18:15:00Z");
        for (dimensions, from, to, expected) in [
            (&[Tag][..], "", "", UsageSource::TagHours),
            (&[Tag, Hour, Day, Month], hour, day, UsageSource::TagHours),
            (&[Tag], "2023-09-01T00:00:00+05:00", "2023-09-02T00:00:00+05:00", UsageSource::TagHours),
            (&[Tag], "2023-09-01T00:00:00+05:45", "", UsageSource::Calls),
            (&[Tag], hour, quarter, UsageSource::Calls),
            (&[Tag, QuarterHour], "", "", UsageSource::Calls),
            (&[Tag, Model], "", "", UsageSource::Calls),
            (&[Task, Tag], "", "", UsageSource::Calls),
        ] {
            assert_eq!(source(dimensions, from, to), expected, "{dimensions:?} from {from:?} to {to:?}");
            let of = |is_declared| {
                let dimensions = dimensions.iter().copied().collect();
                UsageSource::of(&dimensions, is_declared, from.parse().ok(), to.parse().ok())
            };
            assert_eq!(of(false), UsageSource::Calls, "{dimensions:?} of a key that is not declared");
            assert!(UsageSource::may_be_calls(dimensions.iter().copied(), from.parse().ok(), to.parse().ok()));
        }
        assert_eq!(UsageSource::of(&BTreeSet::from([Model, Hour]), false, None, None), UsageSource::QuarterHours);
    }

    #[test]
    fn the_nearest_combination_with_a_tag_says_whether_its_key_must_be_declared() {
        for (dimensions, is_declared, expected) in [
            (&[Tag, Task][..], true, "task over whole days (UTC)"),
            (&[Tag, QuarterHour], true, "tag over whole hours"),
            (&[Tag, Hour, Dag], false, "tag, hour over whole hours, once its key is declared"),
            (&[Tag], false, "tag over whole hours, once its key is declared"),
            (&[Tag, Model], false, "model"),
        ] {
            assert_eq!(nearest(&dimensions.iter().copied().collect(), is_declared), expected, "{dimensions:?}");
        }
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
            assert_eq!(nearest(&dimensions.iter().copied().collect(), true), expected, "{dimensions:?}");
        }
    }

    #[test]
    fn a_source_says_in_words_what_it_is() {
        for (source, words) in [
            (UsageSource::QuarterHours, "sums by quarter hour"),
            (UsageSource::Days(Conversation), "sums by day and conversation"),
            (UsageSource::TagHours, "sums by hour and tag"),
            (UsageSource::Calls, "calls"),
        ] {
            assert_eq!(source.to_string(), words);
        }
    }
}
