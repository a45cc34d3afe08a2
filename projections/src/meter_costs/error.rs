//! Why there are no costs by meter.

use crate::export::ExportError;
use crate::report::ReportError;
use domain::Sum;
use thiserror::Error;

/// Why there are no costs by meter.
#[derive(Debug, Error)]
pub enum MeterCostError {
    /// The dimensions are not valid, or the report of the same calls cannot be read.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The time range is not valid, or the calls cannot be read.
    #[error(transparent)]
    Calls(#[from] ExportError),
    /// There are more calls than may be read.
    #[error(
        "costs by meter are summed up from the charges for the calls, at most {limit} in one request, and there are more: choose a \
         shorter time range or filters, or run `apex report meters` on the database, which has no such limit"
    )]
    TooManyCalls {
        /// The most calls that may be read.
        limit: u64,
    },
    /// There are more rows than may be kept.
    #[error(
        "costs by meter are kept in memory, at most {limit} rows, one for each meter of each group, and there are more: group by \
         fewer dimensions, or choose a shorter time range or filters"
    )]
    TooManyRows {
        /// The most rows that may be kept.
        limit: usize,
    },
    /// The costs do not add up to those of the report.
    #[error(
        "the costs of the meters add up to {meters}, and the report of the same calls to {report}: compare the read model with \
         `apex projections verify calls`, and rebuild it if they differ"
    )]
    NotTheTotal {
        /// The sum of the costs by meter.
        meters: Sum,
        /// The sum that reports read.
        report: Sum,
    },
    /// A number is too large.
    #[error("a sum of costs by meter has more digits than it can have")]
    OutOfRange,
}

impl From<sqlx::Error> for MeterCostError {
    fn from(error: sqlx::Error) -> Self {
        Self::Report(error.into())
    }
}
