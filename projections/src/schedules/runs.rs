//! The runs of schedules: those that made a file, those that failed, and those that were skipped.

use crate::projection::{Applied, ApplyError};
use chrono::{DateTime, Utc};
use domain::Event;
use domain::permissions::{Access, ReadSchedules};
use domain::schedule::{CoveredPeriod, ScheduleEvent, ScheduleRun};
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, Position, TenantReads};
use uuid::Uuid;

/// A run of a schedule, or several that were skipped.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize)]
pub struct ScheduleRunRow {
    /// The tenant that the schedule belongs to.
    pub tenant_id: String,
    /// The schedule.
    pub schedule_id: Uuid,
    /// The position of the event that recorded it.
    pub position: i64,
    /// The outcome: `ran`, `failed` or `skipped`.
    pub outcome: String,
    /// The time of the schedule at which the run was due, or the first of those that were skipped; none of a run that was requested.
    pub due_at: Option<DateTime<Utc>>,
    /// The number of the request; none of a run that was due.
    pub request: Option<i64>,
    /// The time of the last run that was skipped.
    pub last_due_at: Option<DateTime<Utc>>,
    /// The number of runs that were skipped.
    pub skipped: Option<i64>,
    /// The name of the period that it covers.
    pub period: Option<String>,
    /// When the period begins.
    pub period_from: Option<DateTime<Utc>>,
    /// When the period is over.
    pub period_to: Option<DateTime<Utc>>,
    /// The name of the file.
    pub file: Option<String>,
    /// The size of the file in bytes.
    pub bytes: Option<i64>,
    /// The SHA-256 of the file in hexadecimal.
    pub sha256: Option<String>,
    /// The number of rows or statements in the file.
    pub rows: Option<i64>,
    /// The position of the log up to which the file has every event of calls.
    pub known_at: Option<i64>,
    /// Why the run failed.
    pub reason: Option<String>,
    /// When it was recorded.
    pub at: DateTime<Utc>,
}

macro_rules! columns {
    () => {
        "tenant_id, schedule_id, position, outcome, due_at, request, last_due_at, skipped, period, period_from,
         period_to, file, bytes, sha256, rows, known_at, reason, at"
    };
}

impl ScheduleRunRow {
    fn new(applied: &Applied, outcome: &str, at: DateTime<Utc>) -> Self {
        Self {
            tenant_id: applied.tenant().to_owned(),
            schedule_id: applied.stream_id(),
            position: applied.position(),
            outcome: outcome.to_owned(),
            due_at: None,
            request: None,
            last_due_at: None,
            skipped: None,
            period: None,
            period_from: None,
            period_to: None,
            file: None,
            bytes: None,
            sha256: None,
            rows: None,
            known_at: None,
            reason: None,
            at,
        }
    }

    fn of(self, run: ScheduleRun, period: &CoveredPeriod) -> Result<Self, ApplyError> {
        let (due_at, request) = match run {
            ScheduleRun::Due { at } => (Some(at), None),
            ScheduleRun::Requested { number } => (None, Some(count(number)?)),
        };
        let (period_from, period_to) = (Some(period.from), Some(period.to));
        Ok(Self { due_at, request, period: Some(period.name.clone()), period_from, period_to, ..self })
    }

    /// The row of an event; none if it is of no run.
    ///
    /// # Errors
    /// [`ApplyError::Row`] if a number is too large for a row.
    pub fn of_event(applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Schedule(event) = &*applied.event else { return Ok(None) };
        Ok(match event {
            ScheduleEvent::Ran(ran) => Some(Self {
                file: Some(ran.file.clone()),
                bytes: Some(count(ran.bytes)?),
                sha256: Some(ran.sha256.clone()),
                rows: Some(count(ran.rows)?),
                known_at: Some(count(ran.position)?),
                ..Self::new(applied, "ran", ran.at).of(ran.run, &ran.period)?
            }),
            ScheduleEvent::Failed(failed) => Some(Self {
                reason: Some(failed.reason.to_string()),
                ..Self::new(applied, "failed", failed.at).of(failed.run, &failed.period)?
            }),
            ScheduleEvent::Skipped(skipped) => Some(Self {
                due_at: Some(skipped.first),
                last_due_at: Some(skipped.last),
                skipped: Some(count(skipped.runs)?),
                ..Self::new(applied, "skipped", skipped.at)
            }),
            ScheduleEvent::Defined(_)
            | ScheduleEvent::Changed(_)
            | ScheduleEvent::Paused(_)
            | ScheduleEvent::Resumed(_)
            | ScheduleEvent::Deleted(_)
            | ScheduleEvent::RunRequested(_) => None,
        })
    }
}

fn count(number: u64) -> Result<i64, ApplyError> {
    i64::try_from(number).map_err(ApplyError::row)
}

/// Writes the runs of a batch.
pub(super) async fn save(connection: &mut PgConnection, events: &[Applied]) -> Result<(), ApplyError> {
    const INSERT: &str = concat!(
        "insert into schedule_runs (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::schedule_runs, $1) on conflict do nothing"
    );
    let mut rows = Vec::new();
    for applied in events {
        rows.extend(ScheduleRunRow::of_event(applied)?);
    }
    if !rows.is_empty() {
        let rows = serde_json::to_value(rows).map_err(ApplyError::row)?;
        sqlx::query(INSERT).bind(rows).execute(connection).await?;
    }
    Ok(())
}

/// Lists the runs of a schedule, the last one first, up to `limit`; those before the position of one if it is given.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn runs(
    reads: &TenantReads,
    access: &Access<ReadSchedules>,
    schedule: Uuid,
    before: Option<Position>,
    limit: i64,
) -> Result<Vec<ScheduleRunRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.schedule_runs
         where tenant_id = $1 and schedule_id = $2 and ($3::bigint is null or position < $3)
         order by position desc limit $4"
    );
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(schedule);
    let query = query.bind(before.map(Position::as_i64)).bind(limit);
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}
