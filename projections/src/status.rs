//! The status of the projections, and the gauges that are read from the read models.

use crate::all;
use chrono::{DateTime, Utc};
use domain::permissions::{Access, ReadMetrics, ReadProjections};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use streams::DatabaseError;

/// The status of a projection.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ProjectionStatus {
    /// The name of the projection.
    pub name: String,
    /// The position up to which all of its shards have applied every event.
    pub position: i64,
    /// The number of events in the log after `position`.
    pub lag_events: i64,
    /// When a shard last advanced; none before the first batch.
    pub updated_at: Option<DateTime<Utc>>,
    /// The number of parked events.
    pub parked_events: i64,
    /// The version of this program's code.
    pub code_version: i32,
    /// The version of the live tables; none before the first batch.
    pub version: Option<i32>,
    /// The version under construction; none if there is none.
    pub next_version: Option<i32>,
    /// The position of the version under construction.
    pub next_position: Option<i64>,
    /// The version that was live before the last switch; none if it was dropped.
    pub old_version: Option<i32>,
}

impl ProjectionStatus {
    /// Returns whether the live tables belong to this version of the code. If not, this program does not write them.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.version.is_none_or(|version| version == self.code_version)
    }
}

/// Returns the status of every projection, in the order of [`all`].
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn statuses(_: &Access<ReadProjections>, pool: &PgPool) -> Result<Vec<ProjectionStatus>, DatabaseError> {
    let names: Vec<_> = all().iter().map(|projection| projection.name()).collect();
    let versions: Vec<_> = all().iter().map(|projection| projection.version()).collect();
    Ok(sqlx::query_as(include_str!("status.sql")).bind(names).bind(versions).fetch_all(pool).await?)
}

/// Numbers that describe the current state of the read models of all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct GaugeValues {
    /// The number of active agents.
    pub active_agents: i64,
    /// The number of agents with a running task.
    pub busy_agents: i64,
    /// The number of tasks that are submitted and not started.
    pub queued_tasks: i64,
}

/// Returns the gauges of all tenants.
///
/// # Errors
/// [`DatabaseError`] if the database cannot be queried.
pub async fn gauges(_: &Access<ReadMetrics>, pool: &PgPool) -> Result<GaugeValues, DatabaseError> {
    let query = sqlx::query_as(
        "select (select count(*) from apex.agents where status = 'active') as active_agents,
                (select count(distinct (tenant_id, agent_id)) from apex.tasks where status = 'running') as busy_agents,
                (select count(*) from apex.tasks where status = 'submitted') as queued_tasks",
    );
    Ok(query.fetch_one(pool).await?)
}
