//! Why an export cannot be made, or ends too early.

use crate::report::ReportError;
use ::parquet::errors::ParquetError;
use chrono::{DateTime, Utc};
use domain::ACCEPTED_YEARS;
use streams::DatabaseError;
use thiserror::Error;

/// Why an export cannot be made, or ends too early.
#[derive(Debug, Error)]
pub enum ExportError {
    /// The time range is empty.
    #[error("the time range ends at {to}, which is not after its start at {from}")]
    EmptyRange {
        /// The start of the time range.
        from: DateTime<Utc>,
        /// The end of the time range.
        to: DateTime<Utc>,
    },
    /// A limit of the time range is in a year in which no call can start.
    #[error(
        "a time range is within the years {first} to {last}, as the starts of calls are: {0} is not",
        first = ACCEPTED_YEARS.start,
        last = ACCEPTED_YEARS.end - 1
    )]
    YearNotAccepted(DateTime<Utc>),
    /// A limit of the time range of a FOCUS export is not the start of a day.
    #[error(
        "an export in the form of FOCUS has charge periods of a day in UTC: {0} is not the start of one, such as 2026-03-01"
    )]
    NotADay(DateTime<Utc>),
    /// The sums that reports read of the same calls cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The database cannot be read.
    #[error("the database cannot be read")]
    Database(#[from] DatabaseError),
    /// The database sent something that this program does not understand.
    #[error("the column {column} of a call cannot be read")]
    Malformed {
        /// The column.
        column: &'static str,
    },
    /// A number has more digits than the export has room for.
    #[error("a value of the column {column} has more digits than an export can have")]
    OutOfRange {
        /// The column.
        column: &'static str,
    },
    /// The rows do not add up to the sums that reports read.
    #[error(
        "the exported costs add up to {exported}, and the report of the same calls to {reported}: compare the read model with \
         `apex projections verify calls`, and rebuild it if they differ"
    )]
    SumsDiffer {
        /// The sum of the exported costs.
        exported: String,
        /// The sum that reports read.
        reported: String,
    },
    /// A CSV file cannot be written.
    #[error("the CSV file cannot be written")]
    Csv(#[from] csv::Error),
    /// A line of JSON cannot be written.
    #[error("the line cannot be written")]
    Json(#[from] serde_json::Error),
    /// Memory cannot be written.
    #[error("the export cannot be written")]
    Io(#[from] std::io::Error),
    /// A Parquet file cannot be written.
    #[error("the Parquet file cannot be written")]
    Parquet(#[from] ParquetError),
    /// The task that makes the export ended, as at a shutdown.
    #[error("the export was stopped before its end")]
    Stopped,
}

impl From<sqlx::Error> for ExportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error.into())
    }
}
