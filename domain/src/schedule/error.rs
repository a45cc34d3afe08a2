//! Why a command to a schedule is rejected.

use super::limits::{MAX_DAY_OF_MONTH, MAX_DELAY_MINUTES, MAX_DIMENSIONS, MAX_SCHEDULED_FILTERS, MAX_WAITING_REQUESTS};
use chrono::{DateTime, NaiveDate, Utc};
use thiserror::Error;

/// Why a command to a schedule is rejected.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScheduleError {
    /// No schedule was defined under the id.
    #[error("no schedule is defined under this id")]
    NotDefined,
    /// Another schedule was defined under the id.
    #[error("another schedule is defined under this id: change it, or use a new id")]
    AlreadyDefined,
    /// The schedule was deleted.
    #[error("the schedule was deleted: define a new one")]
    Deleted,
    /// The schedule ended, because who defined it may not read what it exports any more.
    #[error(
        "the schedule has ended, because who defined it may not read what it exports any more: change or resume it with \
         permissions that allow it"
    )]
    Ended,
    /// Who gives the command has no permissions in the log with which runs could be made.
    #[error(
        "a schedule runs with the permissions of who defines it, and a token of the settings has none that are checked later: \
         use the session of a user, the API key of a service account, or the command line on the database"
    )]
    NoOwner,
    /// A time of the day is not one.
    #[error("{0:?} is not a time of the day in hours and minutes, such as 06:30")]
    InvalidTime(String),
    /// A day of the month is not one that every month has.
    #[error("{0} is not a day that every month has: use 1 to {MAX_DAY_OF_MONTH}")]
    InvalidDay(u8),
    /// The delay is too long.
    #[error("the delay is {0} minutes, at most {MAX_DELAY_MINUTES} are allowed")]
    DelayTooLong(u32),
    /// The pattern of the names of files is not one.
    #[error("{pattern:?} is not a pattern of names of files: {reason}")]
    InvalidFile {
        /// The start of the pattern.
        pattern: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An option is not one of the kind of content, or is missing.
    #[error("{option} {reason} {kind}")]
    Option {
        /// The name of the option.
        option: &'static str,
        /// The name of the kind of content.
        kind: &'static str,
        /// `is not an option of` or `must be given for`.
        reason: &'static str,
    },
    /// The format is not one of the kind of content.
    #[error("{kind} has no format {format}: use {formats}")]
    InvalidFormat {
        /// The name of the kind of content.
        kind: &'static str,
        /// The name of the format.
        format: &'static str,
        /// The formats that it has.
        formats: &'static str,
    },
    /// A report has too many dimensions or filters.
    #[error("a report has at most {MAX_DIMENSIONS} dimensions and {MAX_SCHEDULED_FILTERS} filters")]
    TooManyDimensions,
    /// Statements have more decimal places than amounts.
    #[error("{0} decimal places, at most 12 are allowed")]
    TooManyDigits(u32),
    /// An export in the form of FOCUS is not of whole days of UTC.
    #[error("an export in the form of FOCUS is of whole days of UTC, and the time zone is {0}: use UTC")]
    FocusNotInUtc(&'static str),
    /// A period is not over, so that its file would not be complete.
    #[error("the period ends at {0}, and is not over yet")]
    PeriodNotOver(DateTime<Utc>),
    /// The time zone does not have a period with the day, or no call can have started in it.
    #[error("there is no period with the day {0} in which calls can have started")]
    NoPeriod(NaiveDate),
    /// Too many requested runs wait.
    #[error(
        "{MAX_WAITING_REQUESTS} requested runs of the schedule wait for their first attempt, and no more may: try again when servers \
         have made some of them"
    )]
    TooManyRequests,
    /// A run belongs to an earlier definition, or the schedule does not run any more.
    #[error("the run belongs to an earlier definition of the schedule, or the schedule does not run any more")]
    Superseded,
}
