//! The read model of schedules, and of their runs.

mod runs;

pub use runs::{ScheduleRunRow, runs};

use crate::page::Page;
use crate::projection::{Applied, ApplyError, Projection};
use crate::rows::{Key, StoredRow, StreamRow, apply_rows};
use chrono::{DateTime, Utc};
use domain::permissions::{Access, ReadSchedules};
use domain::schedule::{Schedule, ScheduleDefined, ScheduleEvent, ScheduleMoved};
use domain::{AgentId, Aggregate, Event};
use futures::future::BoxFuture;
use serde::Serialize;
use sqlx::FromRow;
use sqlx::postgres::PgConnection;
use streams::{DatabaseError, TenantReads};
use uuid::Uuid;

/// A schedule.
#[derive(Debug, Clone, PartialEq, FromRow, Serialize)]
pub struct ScheduleRow {
    /// The tenant that the schedule belongs to.
    pub tenant_id: String,
    /// The id of the schedule.
    pub schedule_id: Uuid,
    /// The display name.
    pub name: String,
    /// The status: `active`, `paused`, `ended` or `deleted`.
    pub status: String,
    /// The definition, as events have it.
    pub definition: serde_json::Value,
    /// With whose permissions it runs, as events have it.
    pub owner: serde_json::Value,
    /// The reason given when it was defined, changed, paused, resumed or deleted last.
    pub reason: Option<String>,
    /// Why the last run failed; none if it did not.
    pub failure: Option<String>,
    /// When the schedule was defined.
    pub defined_at: DateTime<Utc>,
    /// When its definition or its status last changed.
    pub changed_at: DateTime<Utc>,
    /// When the file of a run was complete for the last time.
    pub last_ran_at: Option<DateTime<Utc>>,
    /// The version of the stream: the number of its events.
    pub version: i64,
    /// The position of the last event.
    pub position: i64,
}

macro_rules! columns {
    () => {
        "tenant_id, schedule_id, name, status, definition, owner, reason, failure, defined_at, changed_at, last_ran_at,
         version, position"
    };
}

impl StoredRow for ScheduleRow {
    const LOAD: &'static str = concat!(
        "select ",
        columns!(),
        " from schedules where (tenant_id, schedule_id) in (select * from unnest($1::text[], $2::uuid[]))"
    );
    const UPSERT: &'static str = concat!(
        "insert into schedules (",
        columns!(),
        ") select ",
        columns!(),
        " from jsonb_populate_recordset(null::schedules, $1)
         on conflict (tenant_id, schedule_id) do update set
             name = excluded.name, status = excluded.status, definition = excluded.definition, owner = excluded.owner,
             reason = excluded.reason, failure = excluded.failure, changed_at = excluded.changed_at,
             last_ran_at = excluded.last_ran_at, version = excluded.version, position = excluded.position"
    );

    fn key(&self) -> Key {
        (self.tenant_id.clone(), self.schedule_id)
    }
}

impl StreamRow for ScheduleRow {
    type Read = ReadSchedules;
    const CATEGORY: &'static str = Schedule::CATEGORY;

    fn is_read_by(&self, _: AgentId) -> bool {
        // A schedule belongs to no agent: credentials that are bound to agents do not read it.
        false
    }

    fn fold(row: Option<Self>, applied: &Applied) -> Result<Option<Self>, ApplyError> {
        let Event::Schedule(event) = &*applied.event else { return Ok(row) };
        if let ScheduleEvent::Defined(defined) = event {
            return Self::defined(applied, defined).map(Some);
        }
        let mut row = row.ok_or_else(|| applied.missing_row())?;
        match event {
            ScheduleEvent::Defined(_) | ScheduleEvent::RunRequested(_) | ScheduleEvent::Skipped(_) => {}
            ScheduleEvent::Changed(changed) => row.change(applied, changed)?,
            ScheduleEvent::Paused(moved) => row.move_to("paused", moved),
            ScheduleEvent::Resumed(moved) => {
                row.move_to("active", moved);
                row.failure = None;
            }
            ScheduleEvent::Deleted(moved) => row.move_to("deleted", moved),
            ScheduleEvent::Ran(ran) => {
                row.last_ran_at = Some(ran.at);
                row.failure = None;
            }
            ScheduleEvent::Failed(failed) => {
                if failed.is_final {
                    "ended".clone_into(&mut row.status);
                    row.changed_at = failed.at;
                }
                row.failure = Some(failed.reason.to_string());
            }
        }
        row.version = applied.version();
        row.position = applied.position();
        Ok(Some(row))
    }
}

impl ScheduleRow {
    fn defined(applied: &Applied, defined: &ScheduleDefined) -> Result<Self, ApplyError> {
        Ok(Self {
            tenant_id: applied.tenant().to_owned(),
            schedule_id: applied.stream_id(),
            name: defined.definition.name.to_string(),
            status: "active".to_owned(),
            definition: serde_json::to_value(&defined.definition).map_err(ApplyError::row)?,
            owner: serde_json::to_value(defined.owner).map_err(ApplyError::row)?,
            reason: defined.reason.as_ref().map(ToString::to_string),
            failure: None,
            defined_at: defined.at,
            changed_at: defined.at,
            last_ran_at: None,
            version: applied.version(),
            position: applied.position(),
        })
    }

    fn change(&mut self, applied: &Applied, changed: &ScheduleDefined) -> Result<(), ApplyError> {
        // A paused schedule stays paused, and one that ended runs again.
        let status = if self.status == "paused" { "paused" } else { "active" };
        let (status, defined_at, last_ran_at) = (status.to_owned(), self.defined_at, self.last_ran_at);
        *self = Self { status, defined_at, last_ran_at, ..Self::defined(applied, changed)? };
        Ok(())
    }

    fn move_to(&mut self, status: &str, moved: &ScheduleMoved) {
        status.clone_into(&mut self.status);
        self.reason = moved.reason.as_ref().map(ToString::to_string);
        self.changed_at = moved.at;
    }
}

pub(crate) struct Schedules;

impl Projection for Schedules {
    fn name(&self) -> &'static str {
        "schedules"
    }

    fn categories(&self) -> &'static [&'static str] {
        &[Schedule::CATEGORY]
    }

    fn tables(&self) -> &'static [(&'static str, &'static str)] {
        &[("schedules", "tenant_id, schedule_id"), ("schedule_runs", "tenant_id, schedule_id, position")]
    }

    fn apply<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        events: &'a [Applied],
    ) -> BoxFuture<'a, Result<(), ApplyError>> {
        Box::pin(async move {
            apply_rows::<ScheduleRow>(connection, events).await?;
            runs::save(connection, events).await
        })
    }
}

/// Which schedules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScheduleFilter {
    /// Only schedules with one of these ids; all if empty, without those that were deleted.
    pub ids: Vec<Uuid>,
    /// Only schedules with this status.
    pub status: Option<String>,
}

/// Lists the schedules of a tenant in the order in which they were defined; the cursor is (`defined_at`, `schedule_id`).
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn list(
    reads: &TenantReads,
    access: &Access<ReadSchedules>,
    filter: &ScheduleFilter,
    page: Page,
) -> Result<Vec<ScheduleRow>, DatabaseError> {
    const LIST: &str = concat!(
        "select ",
        columns!(),
        " from apex.schedules
         where tenant_id = $1 and (cardinality($2::uuid[]) = 0 or schedule_id = any ($2))
           and case when $3::text is null then cardinality($2::uuid[]) > 0 or status <> 'deleted' else status = $3 end
           and ($4::timestamptz is null or (defined_at, schedule_id) > ($4, $5))
         order by defined_at, schedule_id limit $6"
    );
    let (after_time, after_id) = page.after();
    let query = sqlx::query_as(LIST).bind(access.tenant().as_str()).bind(&filter.ids).bind(filter.status.as_deref());
    let query = query.bind(after_time).bind(after_id).bind(page.limit());
    Ok(query.fetch_all(&mut *reads.acquire(access).await?).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fold;

    const DEFINED: &str = include_str!("../../../domain/tests/golden/schedule.defined.v1.json");
    const CHANGED: &str = include_str!("../../../domain/tests/golden/schedule.changed.v1.json");
    const RAN: &str = include_str!("../../../domain/tests/golden/schedule.ran.v1.json");
    const FAILED: &str = include_str!("../../../domain/tests/golden/schedule.failed.v1.json");
    const MOVED: &str = r#"{"at":"2026-11-04T00:00:00Z"}"#;

    fn row(events: &[(&str, &str)]) -> ScheduleRow {
        let defined = ("schedule.defined", DEFINED);
        let events: Vec<_> = std::iter::once(defined).chain(events.iter().copied()).collect();
        fold(&events).unwrap().unwrap()
    }

    #[test]
    fn a_failure_is_shown_until_a_run_succeeds() {
        let failed = row(&[("schedule.failed", FAILED)]);
        assert!(failed.failure.unwrap().contains("cannot be written") && failed.status == "active");
        let ran = row(&[("schedule.failed", FAILED), ("schedule.ran", RAN)]);
        assert_eq!((ran.failure, ran.last_ran_at.is_some()), (None, true));
        let last = FAILED.replace(r#""is_final": false"#, r#""is_final": true"#);
        assert_eq!(row(&[("schedule.failed", &last)]).status, "ended");
        assert_eq!(row(&[("schedule.failed", &last), ("schedule.changed", CHANGED)]).status, "active");
    }

    #[test]
    fn a_change_keeps_a_paused_schedule_paused() {
        let changed = row(&[("schedule.paused", MOVED), ("schedule.changed", CHANGED)]);
        assert_eq!((changed.status.as_str(), changed.name.as_str()), ("paused", "FOCUS"));
        assert_eq!(changed.owner["kind"], "command_line");
        assert_eq!(row(&[("schedule.paused", MOVED), ("schedule.resumed", MOVED)]).status, "active");
        assert!(fold::<ScheduleRow>(&[("schedule.paused", MOVED)]).is_err());
    }
}
