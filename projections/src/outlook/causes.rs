//! Who caused an anomaly: the values of a dimension, each with its cost and with what was expected of it.

use super::anomaly_query::{AnomalyQuery, AnomalyStep};
use super::error::OutlookError;
use super::series::check_summed;
use crate::report::{Dimension, LocalHour, MAX_TOP, ReportFilter, ReportQuery, ReportRow, ReportSnapshot};
use chrono::{DateTime, TimeDelta, Utc};
use domain::Sum;
use domain::excess::{Deviation, causes, deviations};
use std::collections::{BTreeMap, HashMap};

/// The days before an anomaly in whose hours of the same name, or which, what is expected of a value is in proportion to its cost.
pub const REFERENCE_DAYS: i64 = 28;

/// A value that contributes to an anomaly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// The value of the dimension; none for calls that have no value.
    pub value: Option<String>,
    /// The name of the agent or the title of the task; none for other dimensions.
    pub name: Option<String>,
    /// Its cost, and what was expected of it.
    pub deviation: Deviation,
}

/// The values that contribute most to an anomaly, and the others together. Their costs, and what was expected of them, add up to those
/// of the anomaly.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CauseList {
    /// Those that contribute most, the highest contribution first.
    pub first: Vec<Cause>,
    /// All others; none if there are no others.
    pub rest: Option<Deviation>,
}

/// A row of a report as a cause: whether it is the row of the rest, and its value.
type Key = (bool, Option<String>);

/// The costs by value, and the names of the values.
#[derive(Default)]
struct Costs {
    costs: BTreeMap<Key, Sum>,
    names: HashMap<Option<String>, Option<String>>,
}

impl Costs {
    fn of(rows: Vec<ReportRow>) -> Self {
        let mut found = Self::default();
        for row in rows {
            let value = row.keys.into_iter().next().flatten();
            found.names.insert(value.clone(), row.names.into_iter().next().flatten());
            *found.costs.entry((row.is_rest, value)).or_default() += &row.totals.cost;
        }
        found
    }
}

/// The report of the costs by value in an anomaly.
pub(super) fn report_of(query: &AnomalyQuery, range: (DateTime<Utc>, DateTime<Utc>)) -> ReportQuery {
    let mut report = query.series.report(vec![query.by], range);
    report.top = Some(MAX_TOP);
    report
}

/// The report of the costs by value that what was expected is in proportion to.
fn reference_of(
    query: &AnomalyQuery,
    hours: &[LocalHour],
    range: (DateTime<Utc>, DateTime<Utc>),
) -> Result<Option<ReportQuery>, OutlookError> {
    // As many days before, and an hour more where clocks change.
    let from = range.0 - TimeDelta::days(REFERENCE_DAYS) - TimeDelta::hours(1);
    let before = hours.iter().filter(|hour| hour.start >= from && hour.start < range.0);
    match query.step {
        AnomalyStep::Day => {
            // The first of them may be the last hour of the day before.
            let first = before.clone().zip(before.skip(1)).find(|(hour, next)| hour.day != next.day);
            Ok(first.map(|(_, first)| report_of(query, (first.start, range.0))))
        }
        AnomalyStep::Hour => {
            let Some(hour) = hours.iter().find(|hour| hour.start == range.0).map(|hour| hour.hour) else {
                return Ok(None);
            };
            let same: Vec<_> = before.filter(|other| other.hour == hour).collect();
            let Some(first) = same.first() else { return Ok(None) };
            let mut report = report_of(query, (first.start, range.0));
            for other in same {
                let filter = ReportFilter::new(Dimension::Hour, Some(&other.key));
                report.filters.push(filter.map_err(|_| OutlookError::OutOfCalendar(other.start))?);
            }
            Ok(Some(report))
        }
    }
}

/// Refuses causes by a dimension by which no sums are kept.
pub(super) fn check(query: &AnomalyQuery, hours: &[LocalHour]) -> Result<(), OutlookError> {
    let Some(last) = hours.last() else { return Ok(()) };
    let range = match query.step {
        AnomalyStep::Hour => (last.start, last.end),
        AnomalyStep::Day => {
            let first = hours.iter().find(|hour| hour.day == last.day).unwrap_or(last);
            (first.start, last.end)
        }
    };
    check_summed(&report_of(query, range))?;
    if let Some(reference) = reference_of(query, hours, range)? {
        check_summed(&reference)?;
    }
    Ok(())
}

/// The values that contribute most to an anomaly.
pub(super) async fn find(
    snapshot: &mut ReportSnapshot,
    query: &AnomalyQuery,
    hours: &[LocalHour],
    (range, expected): ((DateTime<Utc>, DateTime<Utc>), &Sum),
) -> Result<CauseList, OutlookError> {
    let actual = Costs::of(snapshot.rows(&report_of(query, range)).await?);
    let reference = match reference_of(query, hours, range)? {
        Some(reference) => Costs::of(snapshot.rows(&reference).await?),
        None => Costs::default(),
    };
    let found = deviations(&actual.costs, &reference.costs, expected)?;
    let found = causes(found, query.causes, |(is_rest, _)| !is_rest).or_rest(expected);
    let cause = |((_, value), deviation): (Key, Deviation)| {
        let name = actual.names.get(&value).or_else(|| reference.names.get(&value)).cloned().flatten();
        Cause { value, name, deviation }
    };
    Ok(CauseList { first: found.first.into_iter().map(cause).collect(), rest: found.rest })
}
