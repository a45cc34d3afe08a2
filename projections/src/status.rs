//! How the projections are doing, and the numbers that dashboards show.

use chrono::{DateTime, Utc};
use sqlx::FromRow;
use sqlx::postgres::PgPool;
use uuid::Uuid;

/// Where a projection stands.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ProjectionStatus {
    /// Its name.
    pub name: String,
    /// The last position it applied.
    pub position: i64,
    /// How many events it is behind.
    pub lag_events: i64,
    /// When it last moved; none before its first batch.
    pub updated_at: Option<DateTime<Utc>>,
    /// How many events are parked.
    pub parked_events: i64,
}

/// The status of every projection.
///
/// # Errors
/// The database's.
pub async fn statuses(pool: &PgPool) -> Result<Vec<ProjectionStatus>, sqlx::Error> {
    let names: Vec<_> = crate::all().iter().map(|projection| projection.name()).collect();
    sqlx::query_as(
        "select n.name, coalesce(c.position, 0) as position, h.position - coalesce(c.position, 0) as lag_events,
                c.updated_at, (select count(*) from apex.parked_events p where p.projection = n.name) as parked_events
         from unnest($1::text[]) with ordinality as n (name, place)
         cross join apex.head h left join apex.checkpoints c on c.name = n.name
         order by n.place",
    )
    .bind(names)
    .fetch_all(pool)
    .await
}

/// An event that a projection could not apply.
#[derive(Debug, Clone, PartialEq, FromRow)]
pub struct ParkedEvent {
    /// Which projection.
    pub projection: String,
    /// Which event.
    pub position: i64,
    /// The stream's tenant.
    pub tenant_id: String,
    /// The stream's category.
    pub category: String,
    /// The stream, all of which waits.
    pub stream_id: Uuid,
    /// Why.
    pub cause: String,
    /// Since when.
    pub parked_at: DateTime<Utc>,
}

/// The parked events of a projection, or of all.
///
/// # Errors
/// The database's.
pub async fn parked_events(
    pool: &PgPool,
    projection: Option<&str>,
    limit: i64,
) -> Result<Vec<ParkedEvent>, sqlx::Error> {
    sqlx::query_as(
        "select projection, position, tenant_id, category, stream_id, cause, parked_at from apex.parked_events
         where $1::text is null or projection = $1 order by projection, position limit $2",
    )
    .bind(projection)
    .bind(limit)
    .fetch_all(pool)
    .await
}

/// Numbers that are states of the read models rather than counts of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct GaugeValues {
    /// Agents that may take work.
    pub active_agents: i64,
    /// Agents with a running task.
    pub busy_agents: i64,
    /// Tasks that wait to be started.
    pub queued_tasks: i64,
}

/// The gauges of all tenants.
///
/// # Errors
/// The database's.
pub async fn gauges(pool: &PgPool) -> Result<GaugeValues, sqlx::Error> {
    sqlx::query_as(
        "select (select count(*) from apex.agents where status = 'active') as active_agents,
                (select count(distinct (tenant_id, agent_id)) from apex.tasks where status = 'running') as busy_agents,
                (select count(*) from apex.tasks where status = 'submitted') as queued_tasks",
    )
    .fetch_one(pool)
    .await
}
