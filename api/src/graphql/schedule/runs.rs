//! The runs of schedules.

use crate::graphql::scalars::{Long, Position, Timestamp};
use crate::graphql::services::{authorise, services};
use crate::graphql::stored::from_stored_name;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::{Context, Enum, Error, Result, SimpleObject};
use projections::schedules::{self, ScheduleRunRow};
use uuid::Uuid;

/// Outcome of a run of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum ScheduleRunOutcome {
    /// The file of the run is complete.
    Ran,
    /// The run failed. It is tried again, unless it cannot succeed.
    Failed,
    /// The run, and others after it, were missed and are not made up for.
    Skipped,
}

impl ScheduleRunOutcome {
    const ALL: [Self; 3] = [Self::Ran, Self::Failed, Self::Skipped];

    fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// Run of a schedule, or several that were skipped.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct ScheduleRun {
    /// Outcome.
    outcome: ScheduleRunOutcome,
    /// Time of the schedule at which the run was due, without the delay, or the first of those that were skipped. Null of a run that
    /// was requested.
    due_at: Option<Timestamp>,
    /// Number of the request. Null of a run that was due.
    request: Option<Long>,
    /// Time of the last run that was skipped.
    last_due_at: Option<Timestamp>,
    /// Number of runs that were skipped.
    skipped: Option<Long>,
    /// Name of the period that it covers, such as `2026-10-25`, `2026-W43` or `2026-10`.
    period: Option<String>,
    /// Start of the period.
    period_from: Option<Timestamp>,
    /// End of the period.
    period_to: Option<Timestamp>,
    /// Name of the file, in the directory of the tenant.
    file: Option<String>,
    /// Size of the file in bytes.
    bytes: Option<Long>,
    /// SHA-256 of the file in hexadecimal.
    sha256: Option<String>,
    /// Number of rows or statements in the file.
    rows: Option<Long>,
    /// Position of the last event of calls that the file has.
    known_at: Option<Position>,
    /// Why the run failed.
    reason: Option<String>,
    /// Time at which it was recorded.
    at: Timestamp,
    /// Position of the event that recorded it.
    position: Position,
}

impl TryFrom<ScheduleRunRow> for ScheduleRun {
    type Error = Error;

    fn try_from(row: ScheduleRunRow) -> Result<Self> {
        Ok(Self {
            outcome: from_stored_name(&ScheduleRunOutcome::ALL, ScheduleRunOutcome::as_str, &row.outcome)?,
            due_at: row.due_at.map(Into::into),
            request: row.request.map(Into::into),
            last_due_at: row.last_due_at.map(Into::into),
            skipped: row.skipped.map(Into::into),
            period: row.period,
            period_from: row.period_from.map(Into::into),
            period_to: row.period_to.map(Into::into),
            file: row.file,
            bytes: row.bytes.map(Into::into),
            sha256: row.sha256,
            rows: row.rows.map(Into::into),
            known_at: row.known_at.map(Position::from_row),
            reason: row.reason,
            at: row.at.into(),
            position: Position::from_row(row.position),
        })
    }
}

/// A page of the runs of a schedule.
pub(super) async fn list(
    ctx: &Context<'_>,
    schedule: Uuid,
    first: Option<i32>,
    after: Option<&str>,
) -> Result<Connection<String, ScheduleRun>> {
    let access = authorise(ctx)?;
    let size = connection::size(ctx, first)?;
    let before = after.map(connection::position_cursor).transpose()?;
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let rows = schedules::runs(&services(ctx)?.reads, &access, schedule, before, limit).await;
    let rows = rows.map_err(|error| errors::database(&error))?;
    connection::connect_by(rows, size, before.is_some(), |row| row.position.to_string())
}
