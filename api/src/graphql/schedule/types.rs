//! The object type, and how its rows are loaded.

use super::definition::ScheduleDefinition;
use super::runs::{self, ScheduleRun};
use crate::graphql::entity::Entity;
use crate::graphql::ids::Kind;
use crate::graphql::loaders::Rows;
use crate::graphql::scalars::{Long, Position, Timestamp, Uid};
use crate::graphql::stored::from_stored_name;
use crate::graphql::{connection, errors};
use async_graphql::connection::Connection;
use async_graphql::dataloader::Loader;
use async_graphql::{ComplexObject, Context, Enum, Error, ID, Result, SimpleObject};
use chrono::Utc;
use domain::ScheduleId;
use domain::schedule::{self as model, ScheduleOwner, ScheduleStatus as Status};
use projections::schedules::{self, ScheduleFilter, ScheduleRow};
use projections::{DatabaseError, MAX_PAGE_ROWS, Page};
use std::collections::HashMap;
use std::sync::Arc;

/// Status of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "domain::schedule::ScheduleStatus")]
pub(crate) enum ScheduleStatus {
    /// The schedule runs.
    Active,
    /// The schedule does not run until it is resumed.
    Paused,
    /// The schedule does not run, because who defined it may not read what it exports any more. Change or resume it.
    Ended,
    /// The schedule was deleted for good.
    Deleted,
}

/// A schedule: a report, statements or an export that is made at times of the calendar, each of which becomes a file.
#[derive(Debug, Clone, SimpleObject)]
#[graphql(complex)]
pub(crate) struct Schedule {
    /// Global id of the schedule.
    pub(crate) id: ID,
    /// UUID of the schedule, as it occurs in events.
    uuid: Uid,
    /// Display name.
    name: String,
    /// Status.
    status: ScheduleStatus,
    /// What it exports, when, and under which name.
    definition: ScheduleDefinition,
    /// With whose permissions it runs: `user:ID`, `service_account:ID/key:ID` or `command line`.
    owner: String,
    /// Reason that was given when it was defined, changed, paused, resumed or deleted last.
    reason: Option<String>,
    /// Why the last run failed. Null if it did not.
    failure: Option<String>,
    /// Time at which it was defined.
    defined_at: Timestamp,
    /// Time at which its definition or its status last changed.
    changed_at: Timestamp,
    /// Time at which the last file was complete. Null if there is none.
    last_ran_at: Option<Timestamp>,
    /// Time at which the next run is made, after the delay. Null unless `status` is `ACTIVE`. Runs that were missed are made earlier.
    next_run_at: Option<Timestamp>,
    /// Version of the schedule: the number of its events.
    version: Long,
    /// Position of the schedule's last event.
    position: Position,
}

impl Entity for Schedule {
    type Row = ScheduleRow;
    type Key = ScheduleId;
    const KIND: Kind = Kind::Schedule;
    const PROJECTIONS: &'static [&'static str] = &["schedules"];
}

fn owner_text(owner: ScheduleOwner) -> String {
    match owner {
        ScheduleOwner::User { user_id, .. } => format!("user:{user_id}"),
        ScheduleOwner::ServiceAccount { service_account_id, api_key_id } => {
            format!("service_account:{service_account_id}/key:{api_key_id}")
        }
        ScheduleOwner::CommandLine => "command line".to_owned(),
    }
}

impl TryFrom<ScheduleRow> for Schedule {
    type Error = Error;

    fn try_from(row: ScheduleRow) -> Result<Self> {
        let definition: model::ScheduleDefinition =
            serde_json::from_value(row.definition).map_err(|error| errors::internal(&error))?;
        let owner = serde_json::from_value(row.owner).map_err(|error| errors::internal(&error))?;
        let status = from_stored_name(&Status::ALL, Status::as_str, &row.status)?;
        let next = definition.timing.next_made_after(Utc::now()).filter(|_| status == Status::Active);
        Ok(Self {
            id: Kind::Schedule.id(row.schedule_id),
            uuid: row.schedule_id.into(),
            name: row.name,
            status: status.into(),
            definition: (&definition).try_into()?,
            owner: owner_text(owner),
            reason: row.reason,
            failure: row.failure,
            defined_at: row.defined_at.into(),
            changed_at: row.changed_at.into(),
            last_ran_at: row.last_ran_at.map(Into::into),
            next_run_at: next.map(|at| (at + definition.timing.delay()).into()),
            version: row.version.into(),
            position: Position::from_row(row.position),
        })
    }
}

#[ComplexObject]
impl Schedule {
    /// Runs of the schedule, the last one first: those that made a file, those that failed, and those that were skipped.
    #[graphql(complexity = "connection::cost(first, child_complexity)")]
    async fn runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "Some(connection::DEFAULT_PAGE)", desc = "Number of runs to return, from 1 to 500.")]
        first: Option<i32>,
        #[graphql(desc = "Returns the runs after this cursor. Default: from the last run on.")] after: Option<String>,
    ) -> Result<Connection<String, ScheduleRun>> {
        runs::list(ctx, self.uuid.0, first, after.as_deref()).await
    }
}

impl Loader<ScheduleId> for Rows {
    type Value = ScheduleRow;
    type Error = Arc<DatabaseError>;

    async fn load(&self, keys: &[ScheduleId]) -> Result<HashMap<ScheduleId, ScheduleRow>, Self::Error> {
        let Some(access) = self.access() else { return Ok(HashMap::new()) };
        let filter = ScheduleFilter { ids: keys.iter().map(|id| id.0).collect(), status: None };
        let page = Page { limit: MAX_PAGE_ROWS, ..Page::default() };
        let rows = schedules::list(&self.reads, &access, &filter, page).await?;
        Ok(rows.into_iter().map(|row| (ScheduleId(row.schedule_id), row)).collect())
    }
}
