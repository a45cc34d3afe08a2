//! Why a report could not be made.

use super::dimension::Dimension;
use super::usage_source::MAX_REPORT_CALLS;
use super::zone::UnknownTimeZone;
use crate::history::HistoryError;
use crate::projection::ApplyError;
use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use domain::{DecodeError, TagKey};
use std::time::Duration;
use streams::{DatabaseError, Position, ReadError};
use thiserror::Error;

/// The maximum number of filters of a report.
pub const MAX_FILTERS: usize = 50;
/// The maximum number of rows of highest cost that a report shows before the rest.
pub const MAX_TOP: u32 = 1_000;
/// The maximum length of a refused value in an error message, in characters.
const MAX_SHOWN_CHARS: usize = 64;

/// A value that a dimension does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the filter {dimension}={value} cannot be met: expected {}", dimension.description())]
pub struct InvalidFilter {
    dimension: Dimension,
    /// The start of the value.
    value: String,
}

impl InvalidFilter {
    pub(super) fn new(dimension: Dimension, value: Option<&str>) -> Self {
        Self { dimension, value: value.unwrap_or_default().chars().take(MAX_SHOWN_CHARS).collect() }
    }
}

/// Why a report could not be made.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A limit of the time range is not the start of a quarter of an hour.
    #[error("usage is stored by the quarter of an hour: {0} is not the start of one, such as 13:00, 13:15 or 13:30")]
    NotAQuarterHour(DateTime<Utc>),
    /// A limit of the time range of a report by minutes is not the start of a minute.
    #[error("the time range of a report consists of whole minutes: {0} is not the start of one")]
    NotAMinute(DateTime<Utc>),
    /// The time zone is not known.
    #[error(transparent)]
    UnknownTimeZone(#[from] UnknownTimeZone),
    /// A filter names no period of the time zone of the report.
    #[error("{0} in the time zone {1}")]
    NotInZone(InvalidFilter, Tz),
    /// The number of rows before the rest is not one that a report can have.
    #[error("a report shows 1 to {MAX_TOP} rows of highest cost before the rest, requested {0}")]
    InvalidTop(u32),
    /// Periods of time are compared in a report that is grouped by time or filtered on it.
    #[error(
        "two periods are compared by dimensions other than time, and {0} is one of time: leave it out, and name the periods by \
         their limits"
    )]
    ComparedByTime(Dimension),
    /// A report without a time range is compared with another period.
    #[error("a report that is compared with another period needs a time range with a start and an end")]
    ComparedWithoutRange,
    /// A report of which two moments are compared is compared with another period, too.
    #[error("the changes of a report between two moments are not compared with another period: leave that out")]
    ChangesCompared,
    /// A report of which two moments are compared shows the rows of highest cost only.
    #[error("the changes of a report are those of all rows, and it was to show {0} of them: leave that out")]
    TopOfChanges(u32),
    /// Of two moments that are compared, the second one is before the first one.
    #[error("position {to} is before position {from}: give the earlier moment first")]
    NotInOrder {
        /// The position of the first moment.
        from: Position,
        /// The position of the second moment.
        to: Position,
    },
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
         {MAX_REPORT_CALLS}, and there are more: choose a shorter time range, or report by {nearest}, by which sums are kept{}",
        answered_text(*answered_since)
    )]
    TooManyCalls {
        /// The dimensions that the report is grouped by and filtered on.
        dimensions: String,
        /// The largest part of them by which sums are kept.
        nearest: String,
        /// From when on sums answer the report, if only an earlier change of the clocks of its time zone keeps them from it.
        answered_since: Option<DateTime<Utc>>,
    },
    /// The report is by the values of a tag, and no key says which tag.
    #[error("the report is grouped by or filtered on a tag, and has no key that says which one")]
    NoTagKey,
    /// The report has the key of a tag, and is neither grouped by a tag nor filtered on one.
    #[error("the report has the tag key {0}, and is neither grouped by a tag nor filtered on one")]
    UnusedTagKey(TagKey),
    /// Too many tasks were completed in the time range.
    #[error(
        "the costs of at most {limit} completed tasks are summed up, and more were completed: choose a shorter time range"
    )]
    TooManyTasks {
        /// The most tasks whose costs are summed up.
        limit: i64,
    },
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

/// The end of the message of [`ReportError::TooManyCalls`].
fn answered_text(since: Option<DateTime<Utc>>) -> String {
    let text = |since: DateTime<Utc>| {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        format!("; or begin at {since} or later, from when on sums answer this report")
    };
    since.map(text).unwrap_or_default()
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
