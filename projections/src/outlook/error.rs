//! Why a forecast or anomalies could not be computed.

use super::statistics::TooShort;
use crate::report::{Dimension, ReportError};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use domain::split::SplitError;
use thiserror::Error;

/// The maximum number of filters of a forecast or of anomalies. A report has more, of which these need some for themselves.
pub const MAX_OUTLOOK_FILTERS: usize = 20;
/// The longest forecast.
pub const MAX_FORECAST_DAYS: i64 = 92;
/// The longest time range in which anomalies are looked for by hours, and by days.
pub const MAX_HOURLY_DAYS: i64 = 31;
/// See [`MAX_HOURLY_DAYS`].
pub const MAX_DAILY_DAYS: i64 = 92;
/// The probabilities of an interval, in per cent.
pub const PERCENTS: std::ops::RangeInclusive<u32> = MIN_PERCENT..=MAX_PERCENT;
const MIN_PERCENT: u32 = 50;
const MAX_PERCENT: u32 = 95;
/// The maximum number of causes of an anomaly before the rest.
pub const MAX_CAUSES: usize = 20;

/// Why a forecast or anomalies could not be computed.
#[derive(Debug, Error)]
pub enum OutlookError {
    /// The sums could not be read, or the time range, the zone or a filter is not valid.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A time is not the start of an hour.
    #[error("{0} is not the start of an hour in the time zone {1}, of which the series consists")]
    NotAnHour(DateTime<Utc>, Tz),
    /// A time is not the start of a day.
    #[error("{0} is not the start of a day in the time zone {1}, and anomalies are looked for by days")]
    NotADay(DateTime<Utc>, Tz),
    /// The time range has no end in the calendar.
    #[error("the month of {0} has no end that a call can start before: name an earlier time")]
    OutOfCalendar(DateTime<Utc>),
    /// The series would be read up to a time that has not come.
    #[error("the history would end at {at}, and it is {now}: name an earlier time")]
    InFuture {
        /// The end of the history.
        at: DateTime<Utc>,
        /// The present.
        now: DateTime<Utc>,
    },
    /// The time range is too long.
    #[error("the time range from {from} to {to} is longer than {limit_days} days: choose a shorter one")]
    TooLong {
        /// The start of the time range.
        from: DateTime<Utc>,
        /// The end of the time range.
        to: DateTime<Utc>,
        /// The most days that it may have.
        limit_days: i64,
    },
    /// There is too little history before a time.
    #[error("the history before {before} is too short: {short}, from the first hour with a call on")]
    HistoryTooShort {
        /// The end of the history.
        before: DateTime<Utc>,
        /// How short it is.
        short: TooShort,
    },
    /// No sums by the hour are kept by the filters, or by the dimension of the causes.
    #[error(
        "no sums by the hour are kept by {0}: filter by agent, user, team, key, provider, model, tool, outcome and source, or by one \
         declared tag alone, in a time zone whose clocks differ from UTC by whole quarters of an hour, or by whole hours for a tag"
    )]
    NotSummed(String),
    /// A filter, or the dimension of the causes, is a period of time.
    #[error("{0} is a period of time, of which the series consists itself: leave it out")]
    OfTime(Dimension),
    /// There are too many filters.
    #[error("there are {0} filters, and a forecast or anomalies have {MAX_OUTLOOK_FILTERS} at most")]
    TooManyFilters(usize),
    /// The probability of the interval is not one of those that are computed.
    #[error("an interval has a probability of {MIN_PERCENT} to {MAX_PERCENT} per cent, requested {0}")]
    InvalidPercent(u32),
    /// The number of causes is not one of those that are shown.
    #[error("an anomaly has 1 to {MAX_CAUSES} causes before the rest, requested {0}")]
    InvalidCauses(usize),
    /// What was expected cannot be split. No causes are better than wrong ones.
    #[error("the expected cost cannot be split")]
    Split(#[from] SplitError),
    /// The computation ended before it was done.
    #[error("the statistics could not be computed")]
    Computation(#[from] tokio::task::JoinError),
}
