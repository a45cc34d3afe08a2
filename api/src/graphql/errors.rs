//! The one place where errors become GraphQL errors.
//!
//! There are two kinds. A rejection by the business rules is data: a typed `error` in the payload of the mutation, declared
//! by its aggregate with [`super::command_error`]. Everything else is an error of the GraphQL response, with a code under
//! `extensions.code`:
//!
//! | code | meaning | further extensions |
//! |---|---|---|
//! | `BAD_USER_INPUT` | an argument is not valid | `reason` |
//! | `FORBIDDEN` | the principal of the request may not do it | |
//! | `LATE` | the read models did not reach `minPosition` in time; retry | `reached`, `wanted` |
//! | `BUSY` | the write queue is full, or too many reports as known at an earlier time are being made; retry | `retryAfterMs` |
//! | `CONTENDED` | concurrent commands changed the same object; retry | |
//! | `INDETERMINATE` | the outcome of the write is unknown; retry with the same `commandId` | |
//! | `ARCHIVED` | the events are archived, and this server has no archive configured | |
//! | `UNREADABLE` | an event of the object cannot be decoded: a newer version wrote it, or it is damaged | |
//! | `RATE_LIMITED` | a limit of the address, tenant or credential is reached; retry | `retryAfterMs`, `scope`, `resource`, `limit` |
//! | `UNAVAILABLE` | the database is not reachable, or the server is shutting down; retry | |
//! | `INTERNAL` | a fault of the server; its log has the details, which are never in the response | |
//!
//! Internal causes are logged here, once.

use async_graphql::{Error, ErrorExtensionValues, Value};
use domain::allocation::NotInForce;
use domain::permissions::{Action, Forbidden, Permission, ResourceKind};
use identity::IdentityError;
use projections::invoices::ReconciliationError;
use projections::outlook::OutlookError;
use projections::{
    CallFilterError, ChargesError, DatabaseError, ExportError, HistoryError, MeterCostError, ReportError,
    StatementError, WaitError,
};
use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;
use streams::{AppendError, ReadError};

/// When a report is asked for again for which there was no room.
const REPORT_RETRY_AFTER: Duration = Duration::from_secs(2);

/// Creates an error with a code.
pub(crate) fn coded(code: &str, message: impl Into<String>) -> Error {
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", code);
    Error { message: message.into(), source: None, extensions: Some(extensions) }
}

/// Adds an extension to an error.
pub(crate) fn with(mut error: Error, name: &str, value: impl Into<Value>) -> Error {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set(name, value);
    error
}

/// Returns the code of an error that was created in this module.
pub(crate) fn code(error: &Error) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// Creates the error for an argument that is not valid.
pub(crate) fn bad_input(reason: &str, message: impl Into<String>) -> Error {
    with(coded("BAD_USER_INPUT", message), "reason", reason)
}

/// Maps an action that is not allowed.
pub(crate) fn forbidden(forbidden: &Forbidden) -> Error {
    let error = coded("FORBIDDEN", forbidden.to_string());
    match forbidden.permission {
        Some(permission) => with(error, "permission", permission.to_string()),
        None => error,
    }
}

/// The error of a text of an agent that the roles which allow reading texts are not for.
pub(crate) fn forbidden_content() -> Error {
    let error = coded("FORBIDDEN", "not allowed to read this text: the roles that allow it are for other agents");
    let permission = Permission::of(Action::ReadData, ResourceKind::Contents);
    permission.map_or(error.clone(), |permission| with(error, "permission", permission.to_string()))
}

/// The error of a request for which there is no room at the moment.
fn busy(message: String, retry_after: Duration) -> Error {
    let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
    with(coded("BUSY", message), "retryAfterMs", Value::Number(ms.into()))
}

/// Logs a fault of the server. The client learns only that there was one.
pub(crate) fn internal(error: &(dyn StdError + 'static)) -> Error {
    tracing::error!(error, "a request failed with an internal error");
    coded("INTERNAL", "internal error; the server log has the details")
}

/// Logs that the database is not reachable, and creates the error `UNAVAILABLE`.
fn unavailable(error: &(dyn StdError + 'static)) -> Error {
    tracing::warn!(error, "a request failed because the database is not reachable");
    coded("UNAVAILABLE", "the database is not reachable; retry")
}

/// Logs an argument that the database cannot represent.
fn not_storable(error: &(dyn StdError + 'static)) -> Error {
    tracing::debug!(error, "the database cannot represent an argument");
    let message = "the database cannot represent an argument: text with a NUL character or with too many words, or a time \
                   out of range";
    bad_input("NOT_STORABLE", message)
}

/// Maps an error of the database.
pub(crate) fn database(error: &DatabaseError) -> Error {
    match error {
        _ if error.is_invalid_input() => not_storable(error),
        _ if error.is_unavailable() => unavailable(error),
        _ => internal(error),
    }
}

/// Maps an error of a loader, which is shared by all fields that wait for the same batch.
pub(crate) fn loader(error: Arc<DatabaseError>) -> Error {
    database(&error)
}

/// Maps an error of reading the log.
pub(crate) fn read(error: &ReadError) -> Error {
    match error {
        ReadError::Database(error) => database(error),
        ReadError::Closed => coded("UNAVAILABLE", "the server is shutting down; retry"),
        ReadError::Archived { from, to, .. } => {
            // The location of the files is for operators only.
            tracing::warn!(error = error as &dyn StdError, "archived events were requested");
            coded(
                "ARCHIVED",
                format!("positions {from} to {to} are archived, and this server has no archive configured"),
            )
        }
        ReadError::Archive(_) | ReadError::Gap { .. } => internal(error),
    }
}

/// Logs a stored event that cannot be decoded.
fn unreadable(error: &(dyn StdError + 'static)) -> Error {
    tracing::error!(error, "a stored event cannot be decoded");
    coded("UNREADABLE", "an event of this object cannot be decoded: a newer version of Apex wrote it, or it is damaged")
}

/// Maps an error of reading the history of an object.
pub(crate) fn history(error: &HistoryError) -> Error {
    match error {
        HistoryError::Read(error) => read(error),
        HistoryError::Decode(_) => unreadable(error),
        HistoryError::Apply(_) => internal(error),
    }
}

/// Maps an error of credentials that does not belong into a payload.
pub(crate) fn identities(error: &IdentityError) -> Error {
    match error {
        IdentityError::Forbidden(error) => forbidden(error),
        IdentityError::CreationUnknown { source, .. } => {
            tracing::warn!(
                error = source as &(dyn StdError + 'static),
                "it is not known whether an API key was created"
            );
            coded("INDETERMINATE", error.to_string())
        }
        IdentityError::Key(error) => failed(error),
        IdentityError::Grant(error) => failed(error),
        IdentityError::People(error) => failed(error),
        IdentityError::Database(error) => database(error),
        IdentityError::Read(error) => read(error),
        IdentityError::Timeout(_)
        | IdentityError::KeyFile(_)
        | IdentityError::Damaged(_)
        | IdentityError::TooManyHashes => {
            // Where the file is, and what is wrong with it, is for operators only.
            tracing::warn!(error = error as &(dyn StdError + 'static), "credentials cannot be created or read");
            coded("UNAVAILABLE", "credentials cannot be created or read at the moment; the server log has the details")
        }
        IdentityError::Unreadable => unreadable(error),
        IdentityError::TenantNotActive(_)
        | IdentityError::AlreadyCreated(_)
        | IdentityError::TooLate { .. }
        | IdentityError::EmailTaken
        | IdentityError::TooManyInvitations { .. }
        | IdentityError::OtherProfile(_)
        | IdentityError::LinkAlreadyShown(_)
        | IdentityError::Hashing
        | IdentityError::Totp
        | IdentityError::Signing(_)
        | IdentityError::NoSigningKey
        | IdentityError::Random(_) => internal(error),
    }
}

/// Maps an error of waiting for projections.
pub(crate) fn wait(error: &WaitError) -> Error {
    match error {
        WaitError::TimedOut { position, requested } => {
            let late = with(coded("LATE", error.to_string()), "reached", position.to_string());
            with(late, "wanted", requested.to_string())
        }
        WaitError::Database(error) => database(error),
    }
}

/// Maps an error of comparing an invoice with calls, other than what is the reason of a rejection.
pub(crate) fn reconciliation(error: &ReconciliationError) -> Error {
    match error {
        ReconciliationError::Lines(error) => history(error),
        ReconciliationError::Busy => busy(error.to_string(), REPORT_RETRY_AFTER),
        ReconciliationError::Charges(ChargesError::Calls(ExportError::Database(error))) => database(error),
        ReconciliationError::Charges(ChargesError::Calls(ExportError::Stopped)) => {
            coded("UNAVAILABLE", "the server is shutting down; retry")
        }
        ReconciliationError::Invoice(_) | ReconciliationError::Charges(_) | ReconciliationError::Reconcile(_) => {
            internal(error)
        }
    }
}

/// Maps an error of a report.
pub(crate) fn report(error: &ReportError) -> Error {
    match error {
        ReportError::NotAQuarterHour(_) => bad_input("NOT_A_QUARTER_HOUR", error.to_string()),
        ReportError::NotAMinute(_) => bad_input("NOT_A_MINUTE", error.to_string()),
        ReportError::UnknownTimeZone(_) => bad_input("UNKNOWN_TIME_ZONE", error.to_string()),
        ReportError::NotInZone(..) => bad_input("BAD_FILTER", error.to_string()),
        ReportError::InvalidTop(_) => bad_input("BAD_TOP", error.to_string()),
        ReportError::ComparedByTime(_) => bad_input("COMPARED_BY_TIME", error.to_string()),
        ReportError::ComparedWithoutRange => bad_input("COMPARED_WITHOUT_RANGE", error.to_string()),
        ReportError::ChangesCompared => bad_input("CHANGES_COMPARED", error.to_string()),
        ReportError::TopOfChanges(_) => bad_input("BAD_TOP", error.to_string()),
        ReportError::NotInOrder { .. } => bad_input("NOT_IN_ORDER", error.to_string()),
        ReportError::TooManyCalls { .. } => bad_input("TOO_MANY_CALLS", error.to_string()),
        ReportError::EmptyRange { .. } => bad_input("EMPTY_RANGE", error.to_string()),
        ReportError::DuplicateDimension(_) => bad_input("DIMENSION_TWICE", error.to_string()),
        ReportError::NoTagKey => bad_input("NO_TAG_KEY", error.to_string()),
        ReportError::UnusedTagKey(_) => bad_input("UNUSED_TAG_KEY", error.to_string()),
        ReportError::TooManyTasks { .. } => bad_input("TOO_MANY_TASKS", error.to_string()),
        ReportError::TooManyFilters(_) => bad_input("TOO_MANY_FILTERS", error.to_string()),
        ReportError::TooManyEvents { .. } => bad_input("TOO_MANY_EVENTS", error.to_string()),
        ReportError::TooManyRows { .. } => bad_input("TOO_MANY_ROWS", error.to_string()),
        ReportError::TooManyReports { .. } => busy(error.to_string(), REPORT_RETRY_AFTER),
        ReportError::History(error) => history(error),
        ReportError::InvalidCursor => bad_input("BAD_CURSOR", error.to_string()),
        ReportError::Database(error) => database(error),
    }
}

/// Maps an error of filters on calls.
pub(crate) fn call_filter(error: &CallFilterError) -> Error {
    let reason = match error {
        CallFilterError::TooMany(_) => "TOO_MANY_FILTERS",
        CallFilterError::OnTime(_) => "BAD_FILTER",
        CallFilterError::NoTagKey | CallFilterError::SeveralTagKeys(_) => "NO_TAG_KEY",
    };
    bad_input(reason, error.to_string())
}

/// Maps an error of costs by meter.
pub(crate) fn meter_costs(error: &MeterCostError) -> Error {
    match error {
        MeterCostError::Report(error) | MeterCostError::Calls(ExportError::Report(error)) => report(error),
        MeterCostError::TooManyCalls { .. } => bad_input("TOO_MANY_CALLS", error.to_string()),
        MeterCostError::TooManyRows { .. } => bad_input("TOO_MANY_ROWS", error.to_string()),
        MeterCostError::Calls(ExportError::EmptyRange { .. }) => bad_input("EMPTY_RANGE", error.to_string()),
        MeterCostError::Calls(ExportError::YearNotAccepted(_)) => bad_input("BAD_RANGE", error.to_string()),
        MeterCostError::Calls(ExportError::Database(error)) => database(error),
        MeterCostError::Calls(_) | MeterCostError::NotTheTotal { .. } | MeterCostError::OutOfRange => internal(error),
    }
}

/// Maps an error of statements of cost centres.
pub(crate) fn statement(error: &StatementError) -> Error {
    match error {
        StatementError::Report(error) => report(error),
        StatementError::TooManyRows { .. } => bad_input("TOO_MANY_ROWS", error.to_string()),
        StatementError::OtherTag { .. } => bad_input("OTHER_TAG", error.to_string()),
        StatementError::Split(_) | StatementError::NotTheTotal { .. } => internal(error),
    }
}

/// Maps an error of a forecast or of anomalies.
pub(crate) fn outlook(error: &OutlookError) -> Error {
    let reason = match error {
        OutlookError::Report(error) => return report(error),
        OutlookError::NotAnHour(..) => "NOT_AN_HOUR",
        OutlookError::NotADay(..) => "NOT_A_DAY",
        OutlookError::OutOfCalendar(_) => "OUT_OF_CALENDAR",
        OutlookError::InFuture { .. } => "IN_FUTURE",
        OutlookError::TooLong { .. } => "RANGE_TOO_LONG",
        OutlookError::HistoryTooShort { .. } => "HISTORY_TOO_SHORT",
        OutlookError::NotSummed(_) => "NOT_SUMMED",
        OutlookError::OfTime(_) => "OF_TIME",
        OutlookError::TooManyFilters(_) => "TOO_MANY_FILTERS",
        OutlookError::InvalidPercent(_) => "BAD_PERCENT",
        OutlookError::InvalidCauses(_) => "BAD_CAUSES",
        OutlookError::Split(_) | OutlookError::Computation(_) => return internal(error),
    };
    bad_input(reason, error.to_string())
}

/// Maps that no allocation rules are in force in a period.
pub(crate) fn not_in_force(error: &NotInForce) -> Error {
    let reason = match error {
        NotInForce::NoRules | NotInForce::Later { .. } => "NO_RULES",
        NotInForce::Changed { .. } => "RULES_CHANGE",
        NotInForce::NoVersion { .. } => "NO_SUCH_VERSION",
    };
    bad_input(reason, error.to_string())
}

/// Why a command was not executed. All but [`Failure::Failed`] belong into the payload of the mutation.
pub(crate) enum Failure<R> {
    /// The aggregate rejected the command.
    Rejected(R),
    /// The aggregate has another version.
    WrongVersion {
        /// The version that the command expected.
        expected: streams::Version,
        /// The version that the aggregate has.
        current: streams::Version,
    },
    /// Another command was executed under the same id.
    CommandIdReused,
    /// The events would be too large.
    Invalid(streams::InvalidAppend),
    /// An error of the response.
    Failed(Error),
}

impl<R: StdError + 'static> From<commands::Error<R>> for Failure<R> {
    fn from(error: commands::Error<R>) -> Self {
        match error {
            commands::Error::Rejected(rejection) => Self::Rejected(rejection),
            commands::Error::WrongVersion { expected, current } => Self::WrongVersion { expected, current },
            commands::Error::CommandIdReused => Self::CommandIdReused,
            commands::Error::Append(AppendError::Invalid(invalid)) => Self::Invalid(invalid),
            error => Self::Failed(failed(&error)),
        }
    }
}

/// Maps an error of [`commands::Commands`] that does not belong into a payload.
pub(crate) fn failed<R: StdError + 'static>(error: &commands::Error<R>) -> Error {
    match error {
        commands::Error::Forbidden(error) => forbidden(error),
        commands::Error::Contended => coded("CONTENDED", error.to_string()),
        commands::Error::TooManyAggregates { .. } => coded("BAD_USER_INPUT", error.to_string()),
        commands::Error::Append(AppendError::Busy { retry_after }) => busy(error.to_string(), *retry_after),
        commands::Error::Append(AppendError::Indeterminate(cause)) => {
            tracing::warn!(error = cause as &(dyn StdError + 'static), "the outcome of an append is unknown");
            coded("INDETERMINATE", error.to_string())
        }
        commands::Error::Append(AppendError::Unavailable(cause)) => unavailable(cause),
        commands::Error::Append(AppendError::Conflict { .. } | AppendError::ChainAborted) => {
            coded("CONTENDED", "a concurrent command changed the object; retry")
        }
        commands::Error::Append(AppendError::Closed) | commands::Error::Load(ReadError::Closed) => {
            coded("UNAVAILABLE", "the server is shutting down; retry")
        }
        commands::Error::Load(error) => read(error),
        commands::Error::Decode(_) => unreadable(error),
        commands::Error::CommandIdReused
        | commands::Error::Append(AppendError::Refused(_) | AppendError::Invalid(_) | AppendError::CommandReused)
        | commands::Error::Encode(_)
        | commands::Error::Rejected(_)
        | commands::Error::WrongVersion { .. } => internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::agent::AgentError;

    fn code(error: &Error) -> Value {
        error.extensions.as_ref().and_then(|extensions| extensions.get("code").cloned()).unwrap()
    }

    #[test]
    fn internal_causes_are_not_in_the_response() {
        let error = internal(&std::io::Error::other("password=tea"));
        assert_eq!(code(&error), Value::from("INTERNAL"));
        assert!(!error.message.contains("tea"));
    }

    #[test]
    fn a_lost_connection_is_an_unavailable_database() {
        let AppendError::Indeterminate(lost) = AppendError::outcome_unknown() else { panic!("another variant") };
        assert_eq!(code(&database(&lost)), Value::from("UNAVAILABLE"));
    }

    #[test]
    fn a_report_that_would_read_too_much_has_a_reason_of_its_own() {
        let reason = |refused: &ReportError| {
            let error = report(refused);
            assert_eq!(code(&error), Value::from("BAD_USER_INPUT"));
            error.extensions.as_ref().and_then(|extensions| extensions.get("reason").cloned()).unwrap()
        };
        let events = ReportError::TooManyEvents { position: 7.into(), limit: 5 };
        assert_eq!(reason(&events), Value::from("TOO_MANY_EVENTS"));
        assert_eq!(reason(&ReportError::TooManyRows { limit: 5 }), Value::from("TOO_MANY_ROWS"));
        let busy = report(&ReportError::TooManyReports { limit: 2, waited: Duration::from_secs(15) });
        assert_eq!(code(&busy), Value::from("BUSY"));
        assert_eq!(busy.extensions.unwrap().get("retryAfterMs"), Some(&Value::Number(2_000.into())));
        assert!(busy.message.ends_with("within 15 s: retry"), "{}", busy.message);
    }

    #[test]
    fn a_full_write_queue_says_when_to_retry() {
        let busy: commands::Error<AgentError> = AppendError::Busy { retry_after: Duration::from_millis(50) }.into();
        let error = failed(&busy);
        assert_eq!(code(&error), Value::from("BUSY"));
        assert_eq!(error.extensions.unwrap().get("retryAfterMs"), Some(&Value::Number(50.into())));
    }
}
