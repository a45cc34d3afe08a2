//! What a report is summed from: the dimensions that it groups by and filters on decide it.

use super::comparison::BasePeriod;
use super::dimension::{Dimension, Kept};
use super::zone::{Offsets, Zone};
use chrono::{DateTime, DurationRound, Utc};
use chrono_tz::Tz;
use domain::Meter;
use domain::call::Outcome;
use std::collections::BTreeSet;
use std::fmt;

/// The maximum number of calls that a report reads which no rollup answers.
pub const MAX_REPORT_CALLS: i64 = 100_000;

/// The columns of a source that count calls.
pub(super) const COUNTS: [&str; 5] = ["calls", "tool_calls", "failed_calls", "unpriced_calls", "assumed_calls"];
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

    /// The source that answers a report with these dimensions, grouped by or filtered on, time ranges with these limits, and
    /// periods of a zone with these offsets. Sums by a tag are kept if its key is declared.
    pub(super) fn of(
        dimensions: &BTreeSet<Dimension>,
        is_declared: bool,
        limits: impl IntoIterator<Item = Option<DateTime<Utc>>>,
        offsets: &Offsets,
    ) -> Self {
        let only = kept_alone(dimensions).first().copied();
        let kept = only.map_or(Kept::QuarterHours, |only| only.definition().kept);
        let is_answered = answered_by(dimensions, only).len() == dimensions.len()
            && is_on_steps(kept, limits)
            && (!dimensions.iter().any(|by| by.is_time()) || offsets.are_multiples_of(kept.step()));
        match (kept, only) {
            (Kept::QuarterHours, _) if is_answered => Self::QuarterHours,
            (Kept::Hours, _) if is_answered && is_declared => Self::TagHours,
            (Kept::Days, Some(only)) if is_answered => Self::Days(only),
            (Kept::Minutes | Kept::QuarterHours | Kept::Hours | Kept::Days, _) => Self::Calls,
        }
    }

    /// Whether a report by these dimensions, grouped by or filtered on, these limits of its time range, the period that it is
    /// compared with, and periods of this zone reads the calls themselves. One by a tag may, if its key is not declared.
    #[must_use]
    pub fn may_be_calls(
        dimensions: impl IntoIterator<Item = Dimension>,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
        compared_with: Option<BasePeriod>,
        zone: Tz,
    ) -> bool {
        let offsets = Zone::from(zone).between(from, to);
        let base = compared_with.and_then(|compared_with| compared_with.range(zone, (from, to)));
        let limits = [from, to].into_iter().chain(base.into_iter().flat_map(|(from, to)| [Some(from), Some(to)]));
        Self::of(&dimensions.into_iter().collect(), false, limits, &offsets) == Self::Calls
    }

    /// From when on sums answer a report by these dimensions in a time range with this end, if only the offsets of the zone
    /// before keep them from it. Until now, if the range has no end.
    pub(super) fn answers_since(
        dimensions: &BTreeSet<Dimension>,
        is_declared: bool,
        zone: &Zone,
        (from, to): (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    ) -> Option<DateTime<Utc>> {
        let only = kept_alone(dimensions).first().copied();
        let step = only.map_or(Kept::QuarterHours, |only| only.definition().kept).step();
        let since = zone.between(from, to).multiples_since(step)?;
        let is_answered = dimensions.iter().any(|by| by.is_time())
            && since < to.unwrap_or_else(Utc::now)
            && Self::of(dimensions, is_declared, [Some(since), to], &zone.between(Some(since), to)) != Self::Calls;
        is_answered.then_some(since)
    }

    /// The time of a row of the source.
    pub(super) fn time(self) -> &'static str {
        match self {
            Self::QuarterHours => "u.quarter",
            Self::Days(_) | Self::TagHours => "u.hour",
            Self::Calls => "u.started_at",
        }
    }

    /// The rows of the source, as `u`, with a column for each dimension that it answers, and the columns of the sums. The
    /// argument is the expression for the key of the tag.
    pub(crate) fn rows(self, tag: &str) -> String {
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
                             c.usage_assumed::int as assumed_calls,
                             case when c.reported_cost is not null then c.cost end as compared_cost,
                             case when c.cost is not null then c.reported_cost end as compared_reported_cost, {}
                      from apex.calls c) u",
                    meters.collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// The condition that a row is not before a time. It is on the columns of the source's index.
    pub(crate) fn since(self, time: &str) -> String {
        match self {
            Self::QuarterHours => format!("u.hour >= date_trunc('hour', {time}, 'UTC') and u.quarter >= {time}"),
            Self::Days(_) => format!("u.day >= {time}"),
            Self::TagHours => format!("u.hour >= {time}"),
            Self::Calls => format!("u.started_at >= {time}"),
        }
    }

    /// The condition that a row is before a time. It is on the columns of the source's index.
    pub(crate) fn before(self, time: &str) -> String {
        match self {
            Self::QuarterHours => format!("u.hour <= date_trunc('hour', {time}, 'UTC') and u.quarter < {time}"),
            Self::Days(_) => format!("u.day < {time}"),
            Self::TagHours => format!("u.hour < {time}"),
            Self::Calls => format!("u.started_at < {time}"),
        }
    }
}

/// The largest part of these dimensions by which sums are kept, for the message of a report that would read too many
/// calls. Sums by a tag are kept if its key is declared; the offsets are those of the periods of time.
pub(super) fn nearest(dimensions: &BTreeSet<Dimension>, is_declared: bool, offsets: &Offsets) -> String {
    let (is_time, is_utc) = (|by: &Dimension| by.is_time(), offsets.are_none());
    let by_quarters = offsets.are_multiples_of(Kept::QuarterHours.step());
    let few = answered_by(dimensions, None).into_iter().filter(|by| by_quarters || !is_time(by));
    let mut found: Vec<Dimension> = few.collect();
    let mut remark = "";
    for dimension in kept_alone(dimensions) {
        let kept = dimension.definition().kept;
        let answered = answered_by(dimensions, Some(dimension));
        let answered: Vec<_> =
            answered.into_iter().filter(|by| !is_time(by) || offsets.are_multiples_of(kept.step())).collect();
        // Time alone says little, so that a dimension beside it is preferred.
        let value = |by: &[Dimension]| (by.iter().filter(|by| !is_time(by)).count(), by.len());
        if value(&answered) > value(&found) {
            let of = match kept {
                Kept::Minutes | Kept::QuarterHours => "",
                Kept::Hours if is_declared => " over whole hours",
                Kept::Hours => " over whole hours, once its key is declared",
                Kept::Days if is_utc || !dimensions.iter().any(is_time) => " over whole days (UTC)",
                Kept::Days => " over whole days (UTC), with periods of time in UTC only",
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

/// Those of the dimensions that sums answer: those by one dimension alone, or those by all with few values.
fn answered_by(dimensions: &BTreeSet<Dimension>, alone: Option<Dimension>) -> Vec<Dimension> {
    let kept = alone.map_or(Kept::QuarterHours, |alone| alone.definition().kept);
    let is_answered = |by: &Dimension| match alone {
        _ if by.is_time() => by.definition().kept >= kept,
        Some(alone) => *by == alone,
        None => by.definition().kept == kept,
    };
    dimensions.iter().copied().filter(is_answered).collect()
}

/// Whether time ranges consist of whole steps (UTC) of sums.
fn is_on_steps(kept: Kept, limits: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> bool {
    limits.into_iter().flatten().all(|limit| limit.duration_trunc(kept.step()).ok() == Some(limit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Dimension::{
        Agent, Conversation, Dag, Day, Hour, Key, Minute, Model, Month, Outcome, Provider, QuarterHour, Source, Tag,
        Task, Team, Tool, User, Week, Year,
    };

    fn source_in(zone: Tz, is_declared: bool, dimensions: &[Dimension], from: &str, to: &str) -> UsageSource {
        let limits: [Option<DateTime<Utc>>; 2] = [from.parse().ok(), to.parse().ok()];
        let offsets = Zone::from(zone).between(limits[0], limits[1]);
        UsageSource::of(&dimensions.iter().copied().collect(), is_declared, limits, &offsets)
    }

    fn source(dimensions: &[Dimension], from: &str, to: &str) -> UsageSource {
        source_in(Tz::UTC, true, dimensions, from, to)
    }

    fn nearest_in(zone: Tz, dimensions: &[Dimension], is_declared: bool) -> String {
        nearest(&dimensions.iter().copied().collect(), is_declared, &Zone::from(zone).between(None, None))
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
            let undeclared = source_in(Tz::UTC, false, dimensions, from, to);
            assert_eq!(undeclared, UsageSource::Calls, "{dimensions:?} of a key that is not declared");
            let limits = (from.parse().ok(), to.parse().ok());
            assert!(UsageSource::may_be_calls(dimensions.iter().copied(), limits, None, Tz::UTC));
        }
        assert_eq!(source_in(Tz::UTC, false, &[Model, Hour], "", ""), UsageSource::QuarterHours);
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
            assert_eq!(nearest_in(Tz::UTC, dimensions, is_declared), expected, "{dimensions:?}");
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
    fn the_offsets_of_the_zone_choose_the_source_of_a_report_by_time() {
        use UsageSource::{Calls, Days, QuarterHours, TagHours};
        let (berlin, kathmandu, st_johns) = (Tz::Europe__Berlin, Tz::Asia__Kathmandu, Tz::America__St_Johns);
        let (winter, spring) = ("2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z");
        for (zone, dimensions, from, to, expected) in [
            (berlin, &[Model, Day][..], "", "", QuarterHours),
            (kathmandu, &[Hour, Week, Year], "", "", QuarterHours),
            (berlin, &[Tag, Day], "", "", TagHours),
            (kathmandu, &[Tag, Day], "", "", Calls),
            (kathmandu, &[Tag], "", "", TagHours),
            (berlin, &[Task, Day], "", "", Calls),
            (berlin, &[Task], "", "", Days(Task)),
            (Tz::Europe__London, &[Task, Day], winter, spring, Days(Task)),
            (Tz::Europe__London, &[Task, Day], winter, "", Calls),
            // Its clocks changed at 00:01.
            (st_johns, &[Day], "2010-01-01T00:00:00Z", "", Calls),
            (st_johns, &[Day], "2012-01-01T00:00:00Z", "", QuarterHours),
        ] {
            assert_eq!(source_in(zone, true, dimensions, from, to), expected, "{dimensions:?} in {zone}");
        }
        assert_eq!(
            nearest_in(berlin, &[Task, Day], true),
            "task over whole days (UTC), with periods of time in UTC only"
        );
        assert_eq!(nearest_in(kathmandu, &[Tag, Day, Hour], true), "tag over whole hours");
        assert_eq!(nearest_in(st_johns, &[Model, Day], true), "model");
    }

    #[test]
    fn the_previous_period_chooses_the_source_too() {
        let may_be_calls = |zone, from: &str, to: &str, compared_with| {
            UsageSource::may_be_calls([Task], (from.parse().ok(), to.parse().ok()), compared_with, zone)
        };
        let (from, to) = ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z");
        // October began at 23:00 UTC in London.
        let (london, previous) = (Tz::Europe__London, Some(BasePeriod::Previous));
        assert!(may_be_calls(london, from, to, previous));
        assert!(!may_be_calls(london, from, to, None));
        assert!(!may_be_calls(Tz::UTC, from, to, previous));
        let with =
            |from: &str, to: &str| Some(BasePeriod::With { from: from.parse().unwrap(), to: to.parse().unwrap() });
        assert!(may_be_calls(Tz::UTC, from, to, with("2026-09-30T23:00:00Z", to)));
        assert!(!may_be_calls(Tz::UTC, from, to, with("2026-09-30T00:00:00Z", to)));
    }

    #[test]
    fn it_is_said_from_when_on_sums_answer_a_report_by_time() {
        let since = |zone: Tz, dimensions: &[Dimension], from: &str, to: &str| {
            let dimensions = dimensions.iter().copied().collect();
            let since =
                UsageSource::answers_since(&dimensions, true, &zone.into(), (from.parse().ok(), to.parse().ok()));
            since.map(|since| since.to_rfc3339())
        };
        let (st_johns, london) = (Tz::America__St_Johns, Tz::Europe__London);
        for (zone, dimensions, from, to, expected) in [
            (st_johns, &[Model, Day][..], "", "", Some("2011-03-13T03:45:00+00:00")),
            (st_johns, &[Day], "2010-01-01T00:00:00Z", "2026-01-01T00:00:00Z", Some("2011-03-13T03:45:00+00:00")),
            (st_johns, &[Day, Minute], "", "", None),
            (st_johns, &[Model], "", "", None),
            (Tz::America__Caracas, &[Tag, Day], "", "", Some("2016-05-01T07:00:00+00:00")),
            (london, &[Task, Day], "2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z", Some("2026-10-26T00:00:00+00:00")),
            (london, &[Task, Day, Model], "2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z", None),
            // Clocks will change again.
            (london, &[Task, Day], "", "", None),
        ] {
            assert_eq!(since(zone, dimensions, from, to).as_deref(), expected, "{dimensions:?} in {zone} {from} {to}");
        }
    }

    #[test]
    fn every_dimension_alone_but_minutes_is_answered_by_sums() {
        assert_eq!(source(&[Minute], "", ""), UsageSource::Calls);
        for dimension in Dimension::ALL.iter().filter(|dimension| **dimension != Minute) {
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
            (&[Model, Minute], "model"),
        ] {
            assert_eq!(nearest_in(Tz::UTC, dimensions, true), expected, "{dimensions:?}");
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
