//! Which usage a report contains.

use super::dimension::Dimension;
use super::usage_source::{MAX_REPORT_CALLS, UsageSource, list, nearest};
use crate::history::HistoryError;
use crate::projection::ApplyError;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::permissions::{Access, ReadReports};
use domain::{DecodeError, TagKey, TenantId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use streams::{DatabaseError, Position, ReadError};
use thiserror::Error;

/// The maximum number of filters of a report.
pub const MAX_FILTERS: usize = 50;
/// The maximum length of a refused value in an error message, in characters.
const MAX_SHOWN_CHARS: usize = 64;

/// Which usage a report contains.
#[derive(Debug, Clone)]
pub struct ReportQuery {
    /// The access to the data of the tenant whose calls are reported.
    pub access: Access<ReadReports>,
    /// The dimensions that the report is grouped by, in this order; only the total if there are none.
    pub by: Vec<Dimension>,
    /// Only calls that meet these filters, at most [`MAX_FILTERS`]. Filters on the same dimension are alternatives; those on
    /// different dimensions must all be met.
    pub filters: Vec<ReportFilter>,
    /// Only calls that started at or after this time, the start of a quarter of an hour.
    pub from: Option<DateTime<Utc>>,
    /// Only calls that started before this time, the start of a quarter of an hour.
    pub to: Option<DateTime<Utc>>,
    /// The tag of [`Dimension::Tag`]; none if the report is neither grouped by that dimension nor filtered on it.
    pub tag: Option<ReportTag>,
}

/// The tag whose values a report is about. A report has one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTag {
    /// The key of the tag.
    pub key: TagKey,
    /// Whether the key is declared, so that sums are kept by its values. Otherwise the calls are read.
    pub is_declared: bool,
}

/// A condition on calls: the value that they have of one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReportFilter {
    dimension: Dimension,
    /// The value in the form of the keys of rows; none for calls that have no value.
    value: Option<String>,
}

/// A value that a dimension does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the filter {dimension}={value} cannot be met: expected {}", dimension.description())]
pub struct InvalidFilter {
    dimension: Dimension,
    /// The start of the value.
    value: String,
}

impl ReportFilter {
    /// Creates a filter for calls with a value of a dimension, or for calls without a value.
    ///
    /// # Errors
    /// [`InvalidFilter`] if no call can have the value.
    pub fn new(dimension: Dimension, value: Option<&str>) -> Result<Self, InvalidFilter> {
        let key = match value {
            Some(text) => dimension.parse(text).map(Some),
            None => (!dimension.is_time()).then_some(None),
        };
        key.map(|value| Self { dimension, value }).ok_or_else(|| {
            let value = value.unwrap_or_default().chars().take(MAX_SHOWN_CHARS).collect();
            InvalidFilter { dimension, value }
        })
    }
}

/// Why a report could not be made.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A limit of the time range is not the start of a quarter of an hour.
    #[error("usage is stored by the quarter of an hour: {0} is not the start of one, such as 13:00, 13:15 or 13:30")]
    NotAQuarterHour(DateTime<Utc>),
    /// The time range is empty.
    #[error("the report ends at {to}, which is not after its start at {from}")]
    EmptyRange {
        /// The start of the time range.
        from: DateTime<Utc>,
        /// The end of the time range.
        to: DateTime<Utc>,
    },
    /// The cursor was not returned by a report with these dimensions.
    #[error("the cursor does not belong to a report with these dimensions: pass one as the report returned it")]
    InvalidCursor,
    /// A dimension is named more than once.
    #[error("the report is grouped by {0} more than once")]
    DuplicateDimension(Dimension),
    /// No sums are kept by the combination of dimensions, and the time range has too many calls to sum them up.
    #[error(
        "no sums are kept by {dimensions} and this time range, so that the report reads the calls themselves, at most \
         {MAX_REPORT_CALLS}, and there are more: choose a shorter time range, or report by {nearest}, by which sums are kept"
    )]
    TooManyCalls {
        /// The dimensions that the report is grouped by and filtered on.
        dimensions: String,
        /// The largest part of them by which sums are kept.
        nearest: String,
    },
    /// The report is by the values of a tag, and no key says which tag.
    #[error("the report is grouped by or filtered on a tag, and has no key that says which one")]
    NoTagKey,
    /// The report has the key of a tag, and is neither grouped by a tag nor filtered on one.
    #[error("the report has the tag key {0}, and is neither grouped by a tag nor filtered on one")]
    UnusedTagKey(TagKey),
    /// There are too many filters.
    #[error("the report has {0} filters, at most {MAX_FILTERS} are allowed")]
    TooManyFilters(usize),
    /// A report as known at an earlier time would read more events than one request may.
    #[error(
        "costs as they were known at position {position} are summed up from the events of calls up to it, at most {limit} in one \
         request, and there are more: name an earlier position, or read the report as it is known now, or run `apex report cost \
         --known-at {position}` on the database, which has no such limit"
    )]
    TooManyEvents {
        /// The position up to which the log would be read.
        position: Position,
        /// The most events that may be read.
        limit: usize,
    },
    /// A report as known at an earlier time would keep more rows than may be in memory.
    #[error(
        "a report as known at an earlier time keeps its rows in memory, at most {limit}, and there are more: group by fewer \
         dimensions, or name a shorter time range"
    )]
    TooManyRows {
        /// The most rows that may be kept.
        limit: usize,
    },
    /// As many reports as known at an earlier time are being summed up as may be, and none ended in time.
    #[error(
        "{limit} reports as known at an earlier time are being summed up, the most at the same time, and none ended within \
         {} s: retry",
        waited.as_secs()
    )]
    TooManyReports {
        /// The most reports that are summed up at the same time.
        limit: usize,
        /// How long the report waited for one of them to end.
        waited: Duration,
    },
    /// The events that a report as known at an earlier time is summed up from cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The database failed.
    #[error("the usage cannot be read")]
    Database(#[from] DatabaseError),
}

impl From<ReadError> for ReportError {
    fn from(error: ReadError) -> Self {
        Self::History(error.into())
    }
}

impl From<DecodeError> for ReportError {
    fn from(error: DecodeError) -> Self {
        Self::History(error.into())
    }
}

impl From<ApplyError> for ReportError {
    fn from(error: ApplyError) -> Self {
        Self::History(error.into())
    }
}

impl From<sqlx::Error> for ReportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}

/// A query that was checked: the rows of the usage source that a report is about.
#[derive(Debug)]
pub(super) struct Selection {
    /// What the report is summed from.
    pub(super) source: UsageSource,
    pub(super) tenant: TenantId,
    /// The tag of [`Dimension::Tag`], if that is a dimension of the report.
    pub(super) tag: Option<ReportTag>,
    /// The dimensions that the rows are grouped by.
    pub(super) by: Vec<Dimension>,
    /// The allowed values of each dimension with filters.
    pub(super) allowed: BTreeMap<Dimension, Allowed>,
    /// The start of the time range, which lies within the filtered periods of time: the index by time answers these filters.
    pub(super) from: Option<DateTime<Utc>>,
    /// The end of the time range.
    pub(super) to: Option<DateTime<Utc>>,
}

/// The values of one dimension that a report is limited to.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    /// Values in the form of the keys of rows.
    pub(super) values: Vec<String>,
    /// Whether calls without a value are allowed as well.
    pub(super) none: bool,
}

impl ReportQuery {
    /// A report on all usage, in one row.
    #[must_use]
    pub fn new(access: Access<ReadReports>) -> Self {
        Self { access, by: Vec::new(), filters: Vec::new(), from: None, to: None, tag: None }
    }

    /// Returns the projections that feed the report: that of the usage, and those with the names of agents and tasks.
    #[must_use]
    pub fn projections(&self) -> Vec<&'static str> {
        ["calls"].into_iter().chain(self.by.iter().filter_map(|by| by.names_projection())).collect()
    }

    /// What the report is summed from.
    ///
    /// # Errors
    /// [`ReportError`] if the query is invalid.
    pub fn source(&self) -> Result<UsageSource, ReportError> {
        Ok(self.select()?.source)
    }

    /// Checks the query.
    pub(super) fn select(&self) -> Result<Selection, ReportError> {
        for limit in [self.from, self.to].into_iter().flatten() {
            if limit.duration_trunc(TimeDelta::minutes(15)).ok() != Some(limit) {
                return Err(ReportError::NotAQuarterHour(limit));
            }
        }
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(ReportError::EmptyRange { from, to });
        }
        let duplicate = self.by.iter().enumerate().find(|(index, dimension)| self.by[..*index].contains(dimension));
        if let Some((_, dimension)) = duplicate {
            return Err(ReportError::DuplicateDimension(*dimension));
        }
        if self.filters.len() > MAX_FILTERS {
            return Err(ReportError::TooManyFilters(self.filters.len()));
        }
        let allowed = by_dimension(&self.filters);
        let (from, to) = narrowed(self.from, self.to, &allowed);
        let (tenant, by) = (self.access.tenant().clone(), self.by.clone());
        let dimensions: BTreeSet<_> = by.iter().chain(allowed.keys()).copied().collect();
        match (dimensions.contains(&Dimension::Tag), &self.tag) {
            (true, None) => return Err(ReportError::NoTagKey),
            (false, Some(tag)) => return Err(ReportError::UnusedTagKey(tag.key.clone())),
            (true, Some(_)) | (false, None) => {}
        }
        let source = UsageSource::of(&dimensions, is_declared(self.tag.as_ref()), from, to);
        Ok(Selection { source, tenant, tag: self.tag.clone(), by, allowed, from, to })
    }
}

impl Selection {
    /// The error that the report would read too many calls.
    pub(super) fn too_many_calls(&self) -> ReportError {
        let dimensions: BTreeSet<_> = self.by.iter().chain(self.allowed.keys()).copied().collect();
        ReportError::TooManyCalls {
            dimensions: list(&dimensions),
            nearest: nearest(&dimensions, is_declared(self.tag.as_ref())),
        }
    }
}

fn is_declared(tag: Option<&ReportTag>) -> bool {
    tag.is_some_and(|tag| tag.is_declared)
}

/// The values of the filters by dimension.
fn by_dimension(filters: &[ReportFilter]) -> BTreeMap<Dimension, Allowed> {
    let mut allowed: BTreeMap<Dimension, Allowed> = BTreeMap::new();
    for filter in filters {
        let of_dimension = allowed.entry(filter.dimension).or_default();
        match &filter.value {
            Some(value) => of_dimension.values.push(value.clone()),
            None => of_dimension.none = true,
        }
    }
    allowed
}

/// A time range without what lies before the first or after the last allowed period of time.
fn narrowed(
    mut from: Option<DateTime<Utc>>,
    mut to: Option<DateTime<Utc>>,
    allowed: &BTreeMap<Dimension, Allowed>,
) -> (Option<DateTime<Utc>>, Option<DateTime<Utc>>) {
    for (dimension, allowed) in allowed {
        let starts = || allowed.values.iter().filter_map(|value| dimension.start(value));
        from = from.max(starts().min());
        let end = starts().max().and_then(|last| dimension.end(last));
        to = [to, end].into_iter().flatten().min();
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(filters: &[(Dimension, &str)]) -> Vec<ReportFilter> {
        filters.iter().map(|(dimension, value)| ReportFilter::new(*dimension, Some(value)).unwrap()).collect()
    }

    #[test]
    fn filters_on_times_narrow_the_range_and_others_do_not() {
        let range = |from: &str, to: &str, of: &[(Dimension, &str)]| {
            let time = |text: &str| text.parse::<DateTime<Utc>>().ok();
            narrowed(time(from), time(to), &by_dimension(&filters(of)))
        };
        let expected = |from: &str, to: &str| (from.parse().ok(), to.parse().ok());
        let days = [(Dimension::Day, "2023-09-03"), (Dimension::Day, "2023-09-01")];
        assert_eq!(range("", "", &days), expected("2023-09-01T00:00:00Z", "2023-09-04T00:00:00Z"));
        let hour = [(Dimension::Month, "2023-09"), (Dimension::Hour, "2023-09-30T23:00Z"), (Dimension::Model, "m")];
        assert_eq!(range("", "", &hour), expected("2023-09-30T23:00:00Z", "2023-10-01T00:00:00Z"));
        let within = range("2023-09-02T00:00:00Z", "2023-09-02T05:00:00Z", &days);
        assert_eq!(within, expected("2023-09-02T00:00:00Z", "2023-09-02T05:00:00Z"));
        assert_eq!(range("", "2023-09-02T05:00:00Z", &[(Dimension::Model, "m")]), expected("", "2023-09-02T05:00:00Z"));
    }

    #[test]
    fn a_filter_that_no_call_can_meet_is_refused_with_what_is_expected() {
        let refused = |dimension, value| ReportFilter::new(dimension, value).unwrap_err().to_string();
        assert_eq!(refused(Dimension::Agent, Some("ada")), "the filter agent=ada cannot be met: expected a UUID");
        assert_eq!(
            refused(Dimension::Day, None),
            "the filter day= cannot be met: expected a day in UTC, such as 2023-11-14"
        );
        let long = refused(Dimension::Model, Some(&"m".repeat(10_000)));
        assert!(long.len() < 200, "{long}");
    }
}
